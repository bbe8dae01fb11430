import type { RefArray, ReferenceRoutine } from '../array';

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
