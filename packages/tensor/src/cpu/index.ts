import { scanModuleBytes, withMemoryKind } from '@mamba-ts/scan';
import { Device } from '../device';
import { kernelsRelaxed } from '../generated/kernels.relaxed';
import { kernelsSimd } from '../generated/kernels.simd';
import { assembleCpuBackend, type CpuCode, type CpuOptions } from './assemble';
import { cpuRoutines } from './routines';

export type { CpuOptions } from './assemble';

/** The routines' code: this package's kernels and the scan package's, side by side in one memory. */
const code: CpuCode = {
  routines: cpuRoutines,
  async modules({ shared, relaxed }) {
    const bytes = Uint8Array.from(atob(relaxed ? kernelsRelaxed : kernelsSimd), (c) => c.charCodeAt(0));
    const [kernels, scan] = await Promise.all([
      WebAssembly.compile(withMemoryKind(bytes, shared)),
      WebAssembly.compile(scanModuleBytes(relaxed ? 'relaxed' : 'simd', shared)),
    ]);
    return { kernels, scan };
  },
};

/**
 * The CPU device: WebAssembly SIMD on all cores (one thread where memory cannot be shared). Results do not depend on the number of threads.
 *
 * @throws DeviceError for bad options, or when memory or threads can't be had
 */
export async function cpu(options: CpuOptions = {}): Promise<Device> {
  return new Device(await assembleCpuBackend(options, code));
}
