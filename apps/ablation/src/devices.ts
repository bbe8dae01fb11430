import { type DeviceName, deviceNames, isDeviceName, openDevice } from '@mamba-ts/devices';
import { type Device, DeviceError } from '@mamba-ts/tensor';
import { UsageError } from './errors';

/** @throws UsageError for a name that isn't a device, listing those that are */
export function checkDevice(name: string): DeviceName {
  if (isDeviceName(name)) return name;
  throw new UsageError(`--device is ${JSON.stringify(name)}, expected one of ${deviceNames.join(', ')}`);
}

/** @throws UsageError where this machine does not have the device, saying what is missing */
export async function openStudyDevice(name: DeviceName, threads: number | undefined): Promise<Device> {
  try {
    return await openDevice(name, threads === undefined ? {} : { threads });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    throw new UsageError(`--device ${name}: ${error.message}`, { cause: error });
  }
}
