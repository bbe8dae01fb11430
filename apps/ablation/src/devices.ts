import { cpu, type Device, reference } from '@mamba-ts/tensor';
import { UsageError } from './errors';

/** Where a study can run. */
export const deviceNames = ['cpu', 'reference'] as const;
export type DeviceName = (typeof deviceNames)[number];

/** Devices of packages that are not there yet. */
const coming: Readonly<Record<string, string>> = { webgpu: '@mamba-ts/backend-webgpu', cuda: '@mamba-ts/backend-cuda' };

/** @throws UsageError for a name that isn't a device, listing those that are */
export function checkDevice(name: string): DeviceName {
  if ((deviceNames as readonly string[]).includes(name)) return name as DeviceName;
  const available = `available are ${deviceNames.join(' and ')}`;
  const owner = Object.hasOwn(coming, name) ? coming[name] : undefined;
  if (owner) throw new UsageError(`--device ${name} comes with ${owner}, which is not released yet; ${available}`);
  throw new UsageError(`--device is ${JSON.stringify(name)}; ${available} (webgpu and cuda come with their packages)`);
}

export async function openDevice(name: DeviceName, threads: number | undefined): Promise<Device> {
  if (name === 'reference') return reference();
  return cpu(threads === undefined ? {} : { threads });
}
