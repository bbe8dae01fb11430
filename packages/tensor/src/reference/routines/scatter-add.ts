import { faultError } from '../../cpu/fault';
import type { RefArray, ReferenceRoutine } from '../array';

/** out[ids[i]] += updates[i]. @throws OutOfRangeError */
export const scatterAdd: ReferenceRoutine = (inputs, [out]) => {
  const [updates, ids] = inputs as readonly RefArray[];
  const [rows, width] = out.shape;
  ids.data.forEach((id, i) => {
    if (id < 0 || id >= rows) throw faultError(2, id, i, rows);
    for (let c = 0; c < width; c++) out.data[id * width + c] += updates.data[i * width + c];
  });
};
