import { cpu, type Device } from '@mamba-ts/tensor';

/** The float32 devices that every test runs on, beside the float64 reference. */
export const floatDevices: Readonly<Record<string, () => Promise<Device>>> = { cpu: () => cpu({ threads: 1 }) };
