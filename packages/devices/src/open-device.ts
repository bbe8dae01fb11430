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
  webgpu: async () => (await load<{ webgpu: () => Promise<Device> }>('webgpu', () => import('@mamba-ts/backend-webgpu') as Promise<never>)).webgpu(),
  cuda: async () => (await load<{ cuda: () => Promise<Device> }>('cuda', () => import('@mamba-ts/backend-cuda') as Promise<never>)).cuda(),
  reference: () => reference(),
};

/** What `auto` tries, the fastest first. */
const preferred: readonly DeviceName[] = ['cuda', 'webgpu', 'cpu'];

/**
 * Opens a device by name. `auto` takes the first of cuda, webgpu and cpu that can be had; why the others could not is
 * in no message: ask for one by name to learn it.
 *
 * @throws DeviceError for a name that is none, a backend package that is not installed, or a device that is not there
 */
export async function openDevice(name: DeviceName | 'auto', options: OpenOptions = {}): Promise<Device> {
  if (name !== 'auto') {
    if (!isDeviceName(name))
      throw new DeviceError(`openDevice: name is ${JSON.stringify(name)}, expected auto, ${deviceNames.join(', ')}`);
    return openers[name](options);
  }
  for (const candidate of preferred.slice(0, -1)) {
    try {
      return await openers[candidate](options);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }
  return openers.cpu(options);
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
