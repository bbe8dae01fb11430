import { expect, it } from 'vitest';
import { compile, gather, scope, tensor, variable, zeros } from '@mamba-ts/tensor';
import { Device } from '../src/device';
import { ReferenceBackend } from '../src/reference/backend';

it('counts the bytes that steps touch, not the buffers that they lie in', () => {
  const device = new Device(new ReferenceBackend(true));
  const { table, ids, state } = scope(() => ({
    table: variable(zeros([1000, 8], { device })),
    ids: tensor([3, 4], { dtype: 'int32', device }),
    state: variable(zeros([6], { device })),
  }));
  const rows = compile(() => gather(table, ids));
  rows().dispose();
  expect(rows.explain()[0].steps.map((s) => s.bytes)).toEqual([4 * (2 * 8 + 2 + 2 * 8)]);
  const update = compile(() => void state.assign(state.slice(0, 0, 1).expand(6).add(table.slice(0, 0, 1).slice(1, 0, 6).reshape(6))));
  update();
  // The first element of the state and six of the table are read, six written; the state is not updated in place, so they are copied.
  expect(update.explain()[0].bytes).toBe(4 * (1 + 6 + 6) + 4 * (6 + 6));
  for (const t of [rows, update, table, ids, state]) t.dispose();
});
