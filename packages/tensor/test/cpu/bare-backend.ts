import { assembleCpuBackend, type CpuOptions } from '../../src/cpu/assemble';
import type { CpuBackend } from '../../src/cpu/cpu-backend';
import type { DeviceBuffer } from '../../src/backend';
import type { Kernel } from '../../src/compile/kernel';
import type { Program, Slot, Step } from '../../src/compile/program';
import { byteSize, type DType, type HostArray } from '../../src/dtype';
import { interpretKernel, type RefMemory } from '../../src/reference/interpreter';

/**
 * A CPU backend without routines: kernels only, no AssemblyScript modules. `parallelWork` 0 gives every kernel to all
 * threads.
 */
export function bareBackend(options: CpuOptions = {}, parallelWork?: number): Promise<CpuBackend> {
  return assembleCpuBackend(options, {
    routines: {},
    parallelWork,
    modules: async () => ({ kernels: null, scan: null }),
  });
}

let programs = 0;

/** A program of kernels over external buffers only: buffer i of every kernel is external i. */
export function kernelProgram(kernels: readonly Kernel[], bytes: readonly number[]): Program {
  const steps = kernels.map((kernel): Step => ({ kind: 'kernel', kernel, buffers: bytes.map((_, i) => i), label: [] }));
  const slots = bytes.map((b): Slot => ({ kind: 'external', bytes: b, offset: 0 }));
  return { key: `test ${programs++}`, slots, steps, arenaBytes: 0, externals: bytes.map((_, i) => i) };
}

export interface TestBuffer {
  readonly dtype: DType;
  readonly values: Float64Array | Int32Array;
}

/** Type and values of each buffer after the kernel, on the backend. */
export function runOn(backend: CpuBackend, kernel: Kernel, buffers: readonly TestBuffer[]): HostArray[] {
  const bytes = buffers.map((b) => Math.max(4, b.values.length * byteSize(b.dtype)));
  const device = buffers.map((b, i): DeviceBuffer => {
    const buffer = backend.allocate(bytes[i]);
    backend.write(buffer, b.dtype, b.values);
    return buffer;
  });
  backend.prepare(kernelProgram([kernel], bytes)).run(device, null);
  const out = buffers.map((b, i) => backend.readSync(device[i], b.dtype, b.values.length));
  for (const buffer of device) backend.free(buffer);
  return out;
}

/** The same by the float64 interpreter. */
export function interpreted(kernel: Kernel, buffers: readonly TestBuffer[]): RefMemory[] {
  const memory = buffers.map((b) => b.values.slice() as RefMemory);
  interpretKernel(
    kernel,
    memory,
    buffers.map((b) => b.dtype),
  );
  return memory;
}

/** Deterministic uniform numbers in [0, 1). */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
