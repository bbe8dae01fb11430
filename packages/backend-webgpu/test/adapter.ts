import { existsSync } from 'node:fs';
import type { Device } from '@mamba-ts/tensor';
import { webgpu, type WebGpuOptions } from '../src/index';

// A software adapter comes with Debian's chromium: enough to run every kernel where there is no GPU.
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (!process.env.VK_DRIVER_FILES && existsSync(software)) process.env.VK_DRIVER_FILES = software;
process.env.XDG_RUNTIME_DIR ??= '/tmp';

/** Why there is no device here, or null. With CI set, that is an error. */
export const missing: string | null = await webgpu().then(
  (device) => {
    device.dispose();
    return null;
  },
  (error: unknown) => String((error as Error).message),
);
if (missing !== null && process.env.CI) throw new Error(`CI needs a WebGPU adapter: ${missing}`);

export function open(options?: WebGpuOptions): Promise<Device> {
  return webgpu(options);
}
