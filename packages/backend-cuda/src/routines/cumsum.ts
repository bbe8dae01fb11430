import type { TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/cumsum';
import type { CudaRoutine } from '../routine';

export const cumsum: CudaRoutine = {
  refuses(call) {
    const [, length] = (call.inputs[0] as TensorSpec).shape;
    return length >= 2 ** 31 - 1024 ? `its axis has ${length} elements, expected fewer than 2^31 - 1024` : null;
  },
  scratchBytes: () => 0,
  prepare(call, host) {
    const [rows, length, width] = (call.inputs[0] as TensorSpec).shape;
    const columns = rows * width;
    const reverse = Number(call.attributes.reverse);
    const driver = host.context.driver;
    // Long sums of few columns: a block each. Otherwise a thread each fills the device.
    const blocks = length > 64 && columns < 64 * host.context.multiprocessors;
    const kernel = blocks
      ? new KernelLaunch(driver, host.kernel(ptx, 'cumsum_block'), { grid: [columns], block: [256] }, ['pointer', 'pointer', 'pointer', 'i32', 'i32', 'i32']).setAll([
          0n, 0n, host.fault, length, width, reverse,
        ])
      : new KernelLaunch(driver, host.kernel(ptx, 'cumsum_columns'), { grid: [Math.ceil(columns / 128)], block: [128] }, [
          'pointer', 'pointer', 'pointer', 'i64', 'i32', 'i32', 'i32',
        ]).setAll([0n, 0n, host.fault, columns, length, width, reverse]);
    return {
      guarded: true,
      launch(stream, { inputs: [x], outputs: [out] }) {
        if (columns * length === 0) return;
        kernel.set(0, x);
        kernel.set(1, out);
        kernel.launch(stream);
      },
      describe: () => (blocks ? `${columns} blocks, one a column` : `${columns} threads, one a column`),
    };
  },
};
