import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/scatter-add';
import type { CudaRoutine } from '../routine';

/** Floats that a block keeps in shared memory without asking. */
const largestTable = 12288;

interface Plan {
  readonly rows: number;
  readonly width: number;
  readonly count: number;
  /** Blocks that sum up tables of their own; 0: one block per row. */
  readonly parts: number;
}

function planOf(call: RoutineCall, { multiprocessors }: CudaContext): Plan {
  const [count, width] = (call.inputs[0] as TensorSpec).shape;
  const rows = Number(call.attributes.rows);
  const small = rows * width <= largestTable;
  return { rows, width, count, parts: small ? Math.max(1, Math.min(4 * multiprocessors, Math.ceil(count / 64))) : 0 };
}

export const scatterAdd: CudaRoutine = {
  scratchBytes(call, context) {
    const { rows, width, parts } = planOf(call, context);
    return 4 * (parts === 0 ? rows : parts > 1 ? parts * rows * width : 0);
  },
  prepare(call, host) {
    const { rows, width, count, parts } = planOf(call, host.context);
    const make = (name: string, blocks: number, threads: number, parameters: string, sharedBytes = 0): KernelLaunch =>
      new KernelLaunch(host.context.driver, host.kernel(ptx, name), { grid: [blocks], block: [threads], sharedBytes }, [...parameters].map((p) => (p === 'p' ? 'pointer' : 'i32')));
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
    const threads = Math.min(256, Math.max(32, 32 * Math.ceil(width / 32)));
    const tables = make('scatter_table', parts, threads, 'ppppiiii', 4 * rows * width).setAll([0n, 0n, 0n, host.fault, rows, width, count, Math.ceil(count / parts)]);
    const joining = make('scatter_join', Math.ceil((rows * width) / 256), 256, 'ppii').setAll([0n, 0n, rows * width, parts]);
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
      describe: () => `${parts} tables in shared memory`,
    };
  },
};
