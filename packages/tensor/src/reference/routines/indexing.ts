import { faultError } from '../../cpu/fault';
import type { RefArray, ReferenceRoutine } from '../array';

/** The row that id number `i` names. @throws OutOfRangeError */
function row(ids: RefArray, i: number, rows: number, kind: 1 | 2): number {
  const id = ids.data[i];
  if (id < 0 || id >= rows) throw faultError(kind, id, i, rows);
  return id;
}

/** out[i] = table[ids[i]] */
export const gather: ReferenceRoutine = (inputs, [out]) => {
  const [table, ids] = inputs as readonly RefArray[];
  const [rows, width] = table.shape;
  for (let i = 0; i < ids.data.length; i++) {
    const at = row(ids, i, rows, 1) * width;
    for (let c = 0; c < width; c++) out.data[i * width + c] = table.data[at + c];
  }
};

/** out[ids[i]] += updates[i] */
export const scatterAdd: ReferenceRoutine = (inputs, [out]) => {
  const [updates, ids] = inputs as readonly RefArray[];
  const [rows, width] = out.shape;
  for (let i = 0; i < ids.data.length; i++) {
    const at = row(ids, i, rows, 2) * width;
    for (let c = 0; c < width; c++) out.data[at + c] += updates.data[i * width + c];
  }
};
