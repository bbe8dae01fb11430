import type { TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/cross-entropy';
import type { CudaRoutine } from '../routine';

export const crossEntropy: CudaRoutine = {
  scratchBytes: () => 0,
  prepare(call, host) {
    const [rows, classes] = (call.inputs[0] as TensorSpec).shape;
    // Short rows stay in a warp's registers: 4, 8, 16 or 32 numbers a lane.
    const fours = classes % 4 === 0 && classes <= 1024 ? 2 ** Math.max(0, Math.ceil(Math.log2(classes / 128))) : 0;
    const threads = fours > 0 ? 32 : 2 ** Math.min(10, Math.max(5, Math.ceil(Math.log2(classes / 8))));
    const together = threads === 32 ? 8 : 1;
    const blocks = Math.ceil(rows / together);
    const kernel = new KernelLaunch(host.context.driver, host.kernel(ptx, fours > 0 ? `cross_entropy_${fours}` : 'cross_entropy'), { grid: [blocks], block: [threads, together] }, [
      'pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'i32', 'i32', 'i32',
    ]).setAll([0n, 0n, 0n, 0n, host.fault, rows, classes, Number(call.attributes.ignoreIndex)]);
    return {
      launch(stream, { inputs, outputs }) {
        if (rows === 0) return;
        [...inputs, ...outputs].forEach((pointer, i) => kernel.set(i, pointer));
        kernel.launch(stream);
      },
      describe: () => `${blocks}x${threads * together}, ${fours > 0 ? 'rows in registers' : 'one pass'}`,
    };
  },
};
