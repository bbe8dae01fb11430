import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { KernelLaunch, type ParameterType } from '../kernel-launch';
import { ptx } from '../ptx/sort';
import type { CudaRoutine } from '../routine';

/** Keys that one block sorts in shared memory, as in kernels/sort.cu. */
const tile = 2048;

/** Keys per row: a power of two, at least one tile. */
function paddedOf(call: RoutineCall): number {
  const [, width] = (call.inputs[0] as TensorSpec).shape;
  return Math.max(tile, 2 ** Math.ceil(Math.log2(width)));
}

export const sort: CudaRoutine = {
  refuses(call) {
    const [rows, width] = (call.inputs[0] as TensorSpec).shape;
    if (rows > 65535) return `it sorts ${rows} rows, expected at most 65535 at once`;
    return width > 2 ** 30 ? `its rows have ${width} elements, expected at most 2^30` : null;
  },
  scratchBytes(call) {
    const padded = paddedOf(call);
    return padded > tile ? 8 * padded * (call.inputs[0] as TensorSpec).shape[0] : 0;
  },
  prepare(call, host) {
    const [rows, width] = (call.inputs[0] as TensorSpec).shape;
    const padded = paddedOf(call);
    const blocks = padded / tile;
    const common: ParameterType[] = ['pointer', 'pointer', 'pointer', 'pointer', 'pointer', 'i32', 'i32'];
    const make = (name: string, x: number, block: number, parameters: readonly ParameterType[], values: readonly (bigint | number)[]): KernelLaunch =>
      new KernelLaunch(host.context.driver, host.kernel(ptx, name), { grid: [x, rows], block: [block] }, parameters).setAll(values);
    const empty = [0n, 0n, 0n, 0n, host.fault, width, padded];
    const tiles = make('sort_tiles', blocks, 1024, common, empty);
    /** The merges, in order; those across tiles take the keys alone. */
    const merges: { readonly kernel: KernelLaunch; readonly across: boolean }[] = [];
    for (let size = 2 * tile; size <= padded; size *= 2) {
      for (let distance = size / 2; distance >= tile; distance /= 2) {
        merges.push({ across: true, kernel: make('sort_exchange', padded / 512, 256, ['pointer', 'i32', 'i32', 'i32'], [0n, padded, size, distance]) });
      }
      merges.push({ across: false, kernel: make('sort_merge', blocks, 1024, [...common, 'i32'], [...empty, size]) });
    }
    return {
      guarded: true,
      launch(stream, { inputs: [x], outputs: [values, indices], scratch }) {
        if (rows === 0) return;
        const pointers = [x, values, indices, scratch];
        pointers.forEach((pointer, i) => tiles.set(i, pointer));
        tiles.launch(stream);
        for (const { kernel, across } of merges) {
          if (across) kernel.set(0, scratch);
          else pointers.forEach((pointer, i) => kernel.set(i, pointer));
          kernel.launch(stream);
        }
      },
      describe: () => `bitonic, ${padded} keys a row, ${merges.length + 1} kernels`,
    };
  },
};
