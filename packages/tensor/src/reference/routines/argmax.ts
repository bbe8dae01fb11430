import type { RefArray, ReferenceRoutine } from '../array';
import { descending } from './descending';

export const argmax: ReferenceRoutine = (inputs, [out]) => {
  const [rows, width] = (inputs[0] as RefArray).shape;
  const x = (inputs[0] as RefArray).data;
  for (let r = 0; r < rows; r++) {
    let best = 0;
    for (let i = 1; i < width; i++) if (descending(x[r * width + i], x[r * width + best]) < 0) best = i;
    out.data[r] = best;
  }
};
