import type { RefArray, ReferenceRoutine } from '../array';

/** Descending, NaN first. */
function descending(x: number, y: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
  return y - x || 0;
}

export const argmax: ReferenceRoutine = (inputs, [out]) => {
  const [rows, width] = (inputs[0] as RefArray).shape;
  const x = (inputs[0] as RefArray).data;
  for (let r = 0; r < rows; r++) {
    let best = 0;
    for (let i = 1; i < width; i++) if (descending(x[r * width + i], x[r * width + best]) < 0) best = i;
    out.data[r] = best;
  }
};

export const sort: ReferenceRoutine = (inputs, [values, indices]) => {
  const [rows, width] = (inputs[0] as RefArray).shape;
  const x = (inputs[0] as RefArray).data;
  for (let r = 0; r < rows; r++) {
    const order = Array.from({ length: width }, (_, i) => i).sort((i, j) => descending(x[r * width + i], x[r * width + j]) || i - j);
    order.forEach((from, to) => {
      values.data[r * width + to] = x[r * width + from];
      indices.data[r * width + to] = from;
    });
  }
};

export const cumsum: ReferenceRoutine = (inputs, [out], { reverse }) => {
  const x = inputs[0] as RefArray;
  const [rows, length, width] = x.shape;
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < width; c++) {
      let sum = 0;
      for (let i = 0; i < length; i++) {
        const at = (r * length + (reverse ? length - 1 - i : i)) * width + c;
        out.data[at] = sum += x.data[at];
      }
    }
  }
};
