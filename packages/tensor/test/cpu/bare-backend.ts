import { assembleCpuBackend, type CpuOptions } from '../../src/cpu/assemble';
import type { CpuBackend } from '../../src/cpu/cpu-backend';
import type { DeviceBuffer } from '../../src/backend';
import type { Kernel } from '../../src/compile/kernel';
import type { Program, Slot, Step } from '../../src/compile/program';
import type { TestBuffer } from '../../src/conformance/interpreted-kernel';
import { byteSize, type HostArray } from '../../src/dtype';

export { interpreted, type TestBuffer } from '../../src/conformance/interpreted-kernel';
export { randomSource } from '../../src/conformance/random-values';

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
