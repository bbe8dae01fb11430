import { cpu, type Device, DeviceError, reference } from '@mamba-ts/tensor';
import { type DeviceName, deviceNames, isDeviceName } from './device-names';

export interface OpenOptions {
  /** Threads of the cpu device. Default: all cores. */
  readonly threads?: number;
}

type Open = (options: OpenOptions) => Promise<Device>;

/** The packages of the GPU backends are optional peers: loaded when asked for, never on import. */
const openers: Readonly<Record<DeviceName, Open>> = {
  cpu: ({ threads }) => cpu(threads === undefined ? {} : { threads }),
  webgpu: async () => (await load('webgpu', () => import('@mamba-ts/backend-webgpu'))).webgpu(),
  cuda: async () => (await load('cuda', () => import('@mamba-ts/backend-cuda'))).cuda(),
  reference: () => reference(),
};

/**
 * Opens a device by name. `auto` takes the first of cuda, webgpu (on hardware) and cpu that can be had; to learn why one
 * could not, ask for it by name.
 *
 * @throws DeviceError for a name that is none, a backend package that is not installed, or a device that is not there
 */
export async function openDevice(name: DeviceName | 'auto', options: OpenOptions = {}): Promise<Device> {
  if (name === 'auto')
    return (await opened('cuda', options)) ?? (await openedHardware(options)) ?? openers.cpu(options);
  if (isDeviceName(name)) return openers[name](options);
  throw new DeviceError(`openDevice: name is ${JSON.stringify(name)}, expected auto, ${deviceNames.join(', ')}`);
}

/** The device, or null where it cannot be had. */
async function opened(name: DeviceName, options: OpenOptions): Promise<Device | null> {
  try {
    return await openers[name](options);
  } catch (error) {
    if (error instanceof DeviceError) return null;
    throw error;
  }
}

/** WebGPU, but not on an adapter in software: the cpu device is far faster than that. */
async function openedHardware(options: OpenOptions): Promise<Device | null> {
  const device = await opened('webgpu', options);
  if (!device) return null;
  const { WebGpuBackend } = await import('@mamba-ts/backend-webgpu');
  if (!(device.backend instanceof WebGpuBackend && device.backend.capabilities.software)) return device;
  device.dispose();
  return null;
}

async function load<T>(name: DeviceName, importPackage: () => Promise<T>): Promise<T> {
  try {
    return await importPackage();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    const peer = name === 'cuda' ? 'koffi' : 'webgpu';
    throw new DeviceError(
      `openDevice: ${name} needs a package that is not installed: npm install @mamba-ts/backend-${name} ${peer}`,
      { cause: error },
    );
  }
}
