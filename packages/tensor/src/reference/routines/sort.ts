import type { RefArray, ReferenceRoutine } from '../array';
import { descending } from './descending';

export const sort: ReferenceRoutine = (inputs, [values, indices]) => {
  const [rows, width] = (inputs[0] as RefArray).shape;
  const x = (inputs[0] as RefArray).data;
  for (let r = 0; r < rows; r++) {
    const order = Array.from({ length: width }, (_, i) => i).sort(
      (i, j) => descending(x[r * width + i], x[r * width + j]) || i - j,
    );
    order.forEach((from, to) => {
      values.data[r * width + to] = x[r * width + from];
      indices.data[r * width + to] = from;
    });
  }
};
