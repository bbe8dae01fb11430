import { assembleCpuBackend, type CpuOptions } from './assemble';
import type { CpuBackend } from './cpu-backend';
import { compileModules } from './modules';
import { cpuRoutines } from './routines';

/**
 * The CPU backend: WebAssembly SIMD, generated kernels, threads where the host has shared memory.
 * @throws DeviceError for bad options, or when memory or threads can't be had
 */
export function createCpuBackend(options: CpuOptions = {}): Promise<CpuBackend> {
  return assembleCpuBackend(options, { routines: cpuRoutines, modules: compileModules });
}
