import { Device } from '../device';
import type { CpuOptions } from './assemble';
import { createCpuBackend } from './backend';

export type { CpuOptions } from './assemble';
export { createCpuBackend } from './backend';
export type { CpuBackend, CpuCounters } from './cpu-backend';

/**
 * The CPU as a device: WebAssembly SIMD on one or more threads.
 * @throws DeviceError for bad options, or when memory or threads can't be had
 */
export async function cpu(options: CpuOptions = {}): Promise<Device> {
  return new Device(await createCpuBackend(options));
}
