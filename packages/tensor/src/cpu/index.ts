import { Device } from '../device';
import { DeviceError } from '../errors';

export interface CpuOptions {
  readonly threads?: number;
}

/** Placeholder until the backend lands. */
export async function cpu(_options: CpuOptions = {}): Promise<Device> {
  throw new DeviceError('cpu: not there yet');
}
