import type { CudaContext, DevicePointer } from '@mamba-ts/scan-cuda/driver';
import { CudaError } from '@mamba-ts/scan-cuda/driver';
import { DeviceError } from '@mamba-ts/tensor';

const outOfMemory = 2; // CUDA_ERROR_OUT_OF_MEMORY

/**
 * Device memory in blocks of a few sizes, which are kept for the next buffer of that size. All work of a backend runs on one stream, so a block
 * may be handed out again at once: what still uses it comes first.
 */
export class Allocator {
  private readonly kept = new Map<number, DevicePointer[]>();
  /** Bytes of all blocks, in use or kept. */
  private reserved = 0;

  /** @param limit most bytes that all blocks together may take */
  constructor(
    private readonly context: CudaContext,
    private readonly limit: number,
  ) {}

  /** @throws DeviceError when the device, or the limit, has no room */
  allocate(bytes: number): { pointer: DevicePointer; blockBytes: number } {
    const blockBytes = blockSize(bytes);
    const pointer = this.kept.get(blockBytes)?.pop() ?? this.reserve(blockBytes, bytes);
    return { pointer, blockBytes };
  }

  free(pointer: DevicePointer, blockBytes: number): void {
    const list = this.kept.get(blockBytes);
    if (list) list.push(pointer);
    else this.kept.set(blockBytes, [pointer]);
  }

  /** Could a buffer of so many bytes be had now, if all kept blocks went back to the device? */
  fits(bytes: number): boolean {
    let kept = 0;
    for (const [blockBytes, list] of this.kept) kept += blockBytes * list.length;
    const room = Math.min(this.limit - (this.reserved - kept), this.context.memory().free + kept);
    return blockSize(bytes) <= room;
  }

  private reserve(blockBytes: number, bytes: number): DevicePointer {
    if (this.reserved + blockBytes > this.limit) this.trim();
    if (this.reserved + blockBytes > this.limit) {
      throw new DeviceError(`cuda: ${bytes} bytes do not fit: ${this.reserved} are in use, memoryLimit is ${this.limit}`);
    }
    const pointer = this.ask(blockBytes) ?? (this.trim(), this.ask(blockBytes));
    if (pointer === null) {
      const { free, total } = this.context.memory();
      throw new DeviceError(`cuda: CUDA_ERROR_OUT_OF_MEMORY: ${bytes} bytes do not fit: ${this.reserved} are in use here, ${free} of ${total} on the device are free`);
    }
    this.reserved += blockBytes;
    return pointer;
  }

  private ask(bytes: number): DevicePointer | null {
    try {
      return this.context.allocate(bytes);
    } catch (error) {
      if (error instanceof CudaError && error.code === outOfMemory) return null;
      throw error;
    }
  }

  /** Gives all kept blocks back to the device. */
  trim(): void {
    for (const [blockBytes, list] of this.kept) {
      for (const pointer of list) this.context.free(pointer);
      this.reserved -= blockBytes * list.length;
    }
    this.kept.clear();
  }
}

/** Powers of two in eight steps each, from 512 bytes: at most an eighth is lost. */
export function blockSize(bytes: number): number {
  const step = Math.max(512, 2 ** (Math.ceil(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.ceil(bytes / step) * step;
}
