// Devices of the tests in Node: one with all that the adapter offers, one with what every WebGPU device has.
import { existsSync } from 'node:fs';
import { dawnGpu } from '../src/self-check/dawn';
import { type OpenedDevice, openDevice } from '../src/self-check/open';

// Chromium brings a Vulkan driver that is a program.
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (process.env.VK_DRIVER_FILES === undefined && existsSync(swiftshader)) process.env.VK_DRIVER_FILES = swiftshader;
process.env.XDG_RUNTIME_DIR ??= '/tmp';

/** Opens a device, or says why there is none. With CI set there must be one. */
export async function tryOpen(kind: 'all' | 'baseline'): Promise<OpenedDevice | string> {
  try {
    return await openDevice(await dawnGpu(), kind);
  } catch (error) {
    if (process.env.CI) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}
