import type { DeviceBuffer } from '@mamba-ts/tensor';

/** Device memory of one backend. `pointer` is aligned to 256 bytes. */
export class CudaBuffer implements DeviceBuffer {
  freed = false;

  constructor(
    /** The backend that made it. */
    readonly owner: object,
    readonly pointer: bigint,
    readonly bytes: number,
    /** Bytes of the block that it lies in: what the allocator keeps. */
    readonly blockBytes: number,
  ) {}
}
