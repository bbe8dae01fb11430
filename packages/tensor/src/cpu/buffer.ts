import type { DeviceBuffer } from '../backend';

/** A block of the heap. */
export class CpuBuffer implements DeviceBuffer {
  freed = false;

  constructor(
    /** The backend that made it. */
    readonly owner: object,
    readonly address: number,
    readonly bytes: number,
  ) {}
}
