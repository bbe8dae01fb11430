import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/scatter-add';
import type { CudaRoutine } from '../routine';

/** Floats of a block's table in shared memory, as many as it may have without asking. */
const largestTable = 12288;

interface Plan {
  readonly rows: number;
  readonly width: number;
  readonly count: number;
  /** Blocks that sum up tables of their own; 0: one block per row. */
  readonly parts: number;
  /** Columns of such a table. */
  readonly columns: number;
}

function planOf(call: RoutineCall, { multiprocessors }: CudaContext): Plan {
  const [count, width] = (call.inputs[0] as TensorSpec).shape;
  const rows = Number(call.attributes.rows);
  // As few slices of columns as fit, of whole warps where there are several.
  const slices = Math.ceil(width / Math.max(1, Math.min(256, Math.floor(largestTable / rows))));
  const columns = slices > 1 ? 32 * Math.ceil(width / slices / 32) : width;
  const fits = rows * columns <= largestTable;
  // As many blocks as have room, but no part of so few positions that the tables cost more than the updates.
  const together = Math.max(1, Math.min(8, Math.floor((4 * largestTable) / Math.max(1, rows * columns))));
  const parts = Math.max(1, Math.min(Math.ceil((together * multiprocessors) / slices), Math.ceil(count / 64), Math.ceil((2 * count) / rows)));
  return { rows, width, count, parts: fits ? parts : 0, columns };
}

export const scatterAdd: CudaRoutine = {
  scratchBytes(call, context) {
    const { rows, width, parts } = planOf(call, context);
    return 4 * (parts === 0 ? rows : parts > 1 ? parts * rows * width : 0);
  },
  prepare(call, host) {
    const { rows, width, count, parts, columns } = planOf(call, host.context);
    const make = (name: string, blocks: number | readonly [number, number], threads: number, parameters: string, sharedBytes = 0): KernelLaunch =>
      new KernelLaunch(host.context.driver, host.kernel(ptx, name), { grid: typeof blocks === 'number' ? [blocks] : blocks, block: [threads], sharedBytes }, [...parameters].map((p) => (p === 'p' ? 'pointer' : 'i32')));
    if (rows * width === 0) return { launch: () => undefined, describe: () => 'nothing to do' };
    if (parts === 0) {
      const counting = make('scatter_count', Math.max(1, Math.ceil(count / 256)), 256, 'pppii').setAll([0n, 0n, host.fault, rows, count]);
      const summing = make('scatter_rows', rows, 256, 'ppppii').setAll([0n, 0n, 0n, 0n, width, count]);
      return {
        launch(stream, { inputs: [updates, ids], outputs: [out], scratch }) {
          stream.fillWords(scratch, 0, rows);
          counting.set(0, ids);
          counting.set(1, scratch);
          counting.launch(stream);
          [updates, ids, scratch, out].forEach((pointer, i) => summing.set(i, pointer));
          summing.launch(stream);
        },
        describe: () => `count, then ${rows} blocks, one a row`,
      };
    }
    const slices = Math.ceil(width / columns);
    const tables = make('scatter_table', [parts, slices], 32 * Math.ceil(columns / 32), 'ppppiiiii', 4 * rows * columns).setAll([0n, 0n, 0n, host.fault, rows, width, count, Math.ceil(count / parts), columns]);
    const joining = make('scatter_join', Math.ceil((rows * width) / 32), 256, 'ppii').setAll([0n, 0n, rows * width, parts]);
    return {
      launch(stream, { inputs: [updates, ids], outputs: [out], scratch }) {
        tables.set(0, updates);
        tables.set(1, ids);
        tables.set(2, parts > 1 ? scratch : out);
        tables.launch(stream);
        if (parts === 1) return;
        joining.set(0, scratch);
        joining.set(1, out);
        joining.launch(stream);
      },
      describe: () => `${parts} tables in shared memory${slices > 1 ? `, ${slices} slices of columns` : ''}`,
    };
  },
};
