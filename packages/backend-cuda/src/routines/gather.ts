import type { TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch } from '../kernel-launch';
import { ptx } from '../ptx/gather';
import type { CudaRoutine } from '../routine';

const threads = 256;
const names = { float32: 'gather_f32', bfloat16: 'gather_bf16', float16: 'gather_f16' } as const;

export const gather: CudaRoutine = {
  halfInputs: [0],
  scratchBytes: () => 0,
  prepare(call, host) {
    const table = call.inputs[0] as TensorSpec;
    const [rows, width] = table.shape;
    const [count] = (call.inputs[1] as TensorSpec).shape;
    // Columns of a thread.
    const together = width % 4 === 0 ? 4 : 1;
    const name = `${names[table.dtype as keyof typeof names]}_${together}`;
    const groups = (count * width) / together;
    const blocks = Math.ceil(groups / threads);
    const kernel = new KernelLaunch(host.context.driver, host.kernel(ptx, name), { grid: [blocks], block: [threads] }, [
      'pointer', 'pointer', 'pointer', 'pointer', 'i32', 'i32', 'i64',
    ]).setAll([0n, 0n, 0n, host.fault, rows, width, groups]);
    return {
      launch(stream, { inputs, outputs }) {
        if (groups === 0) return;
        kernel.set(0, inputs[0]);
        kernel.set(1, inputs[1]);
        kernel.set(2, outputs[0]);
        kernel.launch(stream);
      },
      describe: () => `${name} ${blocks}x${threads}`,
    };
  },
};
