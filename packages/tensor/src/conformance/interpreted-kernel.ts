import type { Kernel } from '../compile/kernel';
import type { DType } from '../dtype';
import { interpretKernel, type RefMemory } from '../reference/interpreter';

/** A buffer of a kernel under test: its storage type and its numbers. */
export interface TestBuffer {
  readonly dtype: DType;
  readonly values: Float64Array | Int32Array;
}

/** The numbers of each buffer after the kernel, by the float64 interpreter: the oracle of a printer. */
export function interpreted(kernel: Kernel, buffers: readonly TestBuffer[]): RefMemory[] {
  const memory = buffers.map((b) => b.values.slice() as RefMemory);
  interpretKernel(
    kernel,
    memory,
    buffers.map((b) => b.dtype),
  );
  return memory;
}
