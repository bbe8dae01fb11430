import { DeviceError, type DeviceBuffer } from '@mamba-ts/tensor';

/** A GPU buffer of its own, at least `bytes` long, its size a multiple of 256. */
export class WebGpuBuffer implements DeviceBuffer {
  freed = false;

  constructor(
    /** The pool that made it. */
    readonly owner: BufferPool,
    readonly gpu: GPUBuffer,
    readonly bytes: number,
  ) {}
}

/** GPUBufferUsage: the global does not exist in Node. */
export const bufferUsage = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, storage: 0x80, queryResolve: 0x200 } as const;

/** Bytes that are kept for reuse at most. */
const keptBytes = 512 * 2 ** 20;

/**
 * Buffers by size class, reused: making one takes the driver longer than a small kernel. Work is ordered by the queue, so a buffer can be handed
 * out again as soon as it is freed.
 */
export class BufferPool {
  private readonly free = new Map<number, GPUBuffer[]>();
  private kept = 0;

  constructor(
    private readonly device: GPUDevice,
    /** Submits what is recorded: destroyed buffers must not be named by commands that come later. */
    private readonly flush: () => void,
  ) {}

  allocate(bytes: number): WebGpuBuffer {
    const { maxBufferSize } = this.device.limits;
    const size = sizeClass(bytes);
    const fitting = size > maxBufferSize ? Math.ceil(bytes / 256) * 256 : size;
    if (fitting > maxBufferSize) {
      throw new DeviceError(`webgpu: allocate: bytes is ${bytes}, expected at most ${maxBufferSize} (the device's maxBufferSize)`);
    }
    const reused = this.free.get(fitting)?.pop();
    if (reused) this.kept -= fitting;
    const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;
    return new WebGpuBuffer(this, reused ?? this.device.createBuffer({ size: fitting, usage }), bytes);
  }

  release(buffer: WebGpuBuffer): void {
    buffer.freed = true;
    const { size } = buffer.gpu;
    const same = this.free.get(size) ?? [];
    this.free.set(size, same);
    same.push(buffer.gpu);
    this.kept += size;
    if (this.kept > keptBytes) this.trim();
  }

  /** Destroys what is kept, the largest first, down to half of what may be kept. */
  private trim(): void {
    this.flush();
    for (const size of [...this.free.keys()].toSorted((a, b) => b - a)) {
      const same = this.free.get(size) as GPUBuffer[];
      while (same.length > 0 && this.kept > keptBytes / 2) {
        (same.pop() as GPUBuffer).destroy();
        this.kept -= size;
      }
    }
  }
}

/** Powers of two, with seven steps in between from 64 KiB on: at most an eighth is wasted there. */
function sizeClass(bytes: number): number {
  const power = 2 ** Math.ceil(Math.log2(Math.max(bytes, 256)));
  if (power <= 65536) return power;
  const step = power / 16;
  return Math.ceil(bytes / step) * step;
}
