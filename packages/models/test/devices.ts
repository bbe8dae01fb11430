import { type Device } from '@mamba-ts/tensor';

/** The float32 devices that every layer is tested on, beside the reference. */
export const floatDevices: Readonly<Record<string, () => Promise<Device>>> = {};
