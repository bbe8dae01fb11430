import { DeviceError } from '../errors';
import { heapStart } from './control';

/** The part of WebAssembly.Memory that the heap needs; tests give it a smaller one. */
export interface GrowableMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Allocations start at multiples of it: a cache line. */
const alignment = 64;
const pageBytes = 65536;

/** Sizes are sorted into bins: 8 for each power of two. */
const stepsLog = 3;

/** Bin of a block of `size` bytes: all blocks of a higher bin are larger. */
function binOf(size: number): number {
  const units = size / alignment;
  if (units < 1 << stepsLog) return units;
  const log = 31 - Math.clz32(units);
  return ((log - stepsLog) << stepsLog) + (units >>> (log - stepsLog));
}

/**
 * Allocator over one WebAssembly memory: segregated bins of free blocks with coalescing, best bin first. Its
 * book-keeping is on the JS side, so that kernels cannot damage it.
 */
export class Heap {
  /** Sizes of free blocks by start address, and their starts by end address. */
  private readonly freeSize = new Map<number, number>();
  private readonly freeStart = new Map<number, number>();
  private readonly bins: (Set<number> | undefined)[] = [];
  private readonly used = new Map<number, number>();
  private end: number;
  /** Bytes in use, rounded up to whole blocks. */
  bytesInUse = 0;

  /** @param maximumBytes the heap never grows beyond this address */
  constructor(
    private readonly memory: GrowableMemory,
    private readonly maximumBytes: number,
  ) {
    this.end = memory.buffer.byteLength;
    if (this.end > heapStart) this.addFree(heapStart, this.end - heapStart);
  }

  /**
   * Reserves at least `bytes` bytes; gives the address, a multiple of 64.
   * @throws DeviceError when the memory is exhausted
   */
  allocate(bytes: number): number {
    const size = Math.max(alignment, Math.ceil(bytes / alignment) * alignment);
    const start = this.take(size) ?? this.takeAfterGrowth(size, bytes);
    this.used.set(start, size);
    this.bytesInUse += size;
    return start;
  }

  free(address: number): void {
    const size = this.used.get(address);
    if (size === undefined) throw new DeviceError(`cpu: free of address ${address}, which is not allocated`);
    this.used.delete(address);
    this.bytesInUse -= size;
    this.release(address, size);
  }

  private release(start: number, size: number): void {
    let from = start;
    let length = size;
    const before = this.freeStart.get(from);
    if (before !== undefined) {
      length += from - before;
      from = before;
      this.removeFree(before);
    }
    const after = this.freeSize.get(start + size);
    if (after !== undefined) {
      this.removeFree(start + size);
      length += after;
    }
    this.addFree(from, length);
  }

  private take(size: number): number | null {
    // In its own bin a block may be too small, in a higher one it can't: look at a few, then go up, and only then at
    // all of them.
    const own = binOf(size);
    const near = this.fitting(own, size, 8);
    if (near !== null) return this.split(near, size);
    for (let bin = own + 1; bin < this.bins.length; bin++) {
      const set = this.bins[bin];
      if (set && set.size > 0) return this.split(set.values().next().value as number, size);
    }
    const last = this.fitting(own, size, Infinity);
    return last === null ? null : this.split(last, size);
  }

  private fitting(bin: number, size: number, tries: number): number | null {
    let left = tries;
    for (const start of this.bins[bin] ?? []) {
      if ((this.freeSize.get(start) as number) >= size) return start;
      if (--left === 0) break;
    }
    return null;
  }

  private split(start: number, size: number): number {
    const whole = this.freeSize.get(start) as number;
    this.removeFree(start);
    if (whole > size) this.addFree(start + size, whole - size);
    return start;
  }

  private takeAfterGrowth(size: number, asked: number): number {
    const tailStart = this.freeStart.get(this.end);
    const tail = tailStart === undefined ? 0 : this.end - tailStart;
    const missing = Math.ceil((size - tail) / pageBytes);
    const room = Math.floor((this.maximumBytes - this.end) / pageBytes);
    // A margin, so that a run of small allocations does not grow the memory every time.
    const wished = Math.min(room, Math.max(missing, Math.ceil(this.end / pageBytes / 4)));
    if (missing > room || !(this.grow(wished) || this.grow(missing))) {
      const mib = (n: number): string => `${(n / 2 ** 20).toFixed(1)} MiB`;
      throw new DeviceError(
        `cpu: out of memory: ${mib(asked)} asked for, ${mib(this.bytesInUse)} in use, limit ${mib(this.maximumBytes)}; ` +
          'dispose tensors that are no longer needed',
      );
    }
    return this.take(size) as number;
  }

  private grow(pages: number): boolean {
    try {
      this.memory.grow(pages);
    } catch {
      return false;
    }
    const start = this.end;
    this.end += pages * pageBytes;
    this.release(start, this.end - start);
    return true;
  }

  private addFree(start: number, size: number): void {
    this.freeSize.set(start, size);
    this.freeStart.set(start + size, start);
    const bin = binOf(size);
    (this.bins[bin] ??= new Set()).add(start);
  }

  private removeFree(start: number): void {
    const size = this.freeSize.get(start) as number;
    this.freeSize.delete(start);
    this.freeStart.delete(start + size);
    this.bins[binOf(size)]?.delete(start);
  }
}
