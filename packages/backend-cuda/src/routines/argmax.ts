import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/argmax';
import type { CudaRoutine } from '../routine';

/** Rows that may be split among blocks: each needs a counter. */
const mostSplitRows = 1024;

/** Blocks that share a row. */
function partsOf(call: RoutineCall, { multiprocessors }: CudaContext): number {
  const [rows, width] = (call.inputs[0] as TensorSpec).shape;
  if (rows > mostSplitRows) return 1;
  return Math.max(1, Math.min(256, Math.floor(width / 2048), Math.floor((2 * multiprocessors) / rows)));
}

export const argmax: CudaRoutine = {
  scratchBytes(call, context) {
    const [rows] = (call.inputs[0] as TensorSpec).shape;
    const parts = partsOf(call, context);
    return parts > 1 ? 8 * rows * parts : 0;
  },
  prepare(call, host) {
    const [rows, width] = (call.inputs[0] as TensorSpec).shape;
    const parts = partsOf(call, host.context);
    const counters = host.shared('argmax counters', () => {
      const pointer = host.context.allocate(4 * mostSplitRows);
      host.context.upload(pointer, new Uint32Array(mostSplitRows));
      return { pointer, close: () => host.context.free(pointer) };
    });
    const kernel = new KernelLaunch(host.context.driver, host.kernel(ptx, 'argmax'), { grid: [rows, parts], block: [256] }, [
      'pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'i32',
    ]).setAll([0n, 0n, 0n, counters.pointer, host.fault, width]);
    return {
      guarded: true,
      launch(stream, { inputs: [x], outputs: [out], scratch }) {
        if (rows === 0) return;
        [x, out, scratch].forEach((pointer, i) => kernel.set(i, pointer));
        kernel.launch(stream);
      },
      describe: () => `${rows} rows, ${parts} blocks each`,
    };
  },
};
