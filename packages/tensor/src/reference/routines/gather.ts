import { faultError } from '../../cpu/fault';
import type { RefArray, ReferenceRoutine } from '../array';

/** out[i] = table[ids[i]]. @throws OutOfRangeError */
export const gather: ReferenceRoutine = (inputs, [out]) => {
  const [table, ids] = inputs as readonly RefArray[];
  const [rows, width] = table.shape;
  ids.data.forEach((id, i) => {
    if (id < 0 || id >= rows) throw faultError(1, id, i, rows);
    for (let c = 0; c < width; c++) out.data[i * width + c] = table.data[id * width + c];
  });
};
