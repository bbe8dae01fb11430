import type { CudaContext, CudaEvent, CudaStream, DevicePointer, HostBuffer } from '@mamba-ts/scan-cuda/driver';
import { byteSize, type DType, type HostArray, readValues, writeValues } from '@mamba-ts/tensor';

const chunkBytes = 4 << 20;

/** Pinned memory that is written front to back, and the event after the last copy out of it. */
interface Chunk {
  readonly host: HostBuffer;
  readonly done: CudaEvent;
  used: number;
}

/** Host → device through pinned memory: the caller's values are converted into it, and the copy is queued. */
export class Uploads {
  private readonly chunks: readonly Chunk[];
  private current = 0;

  constructor(
    private readonly context: CudaContext,
    private readonly stream: CudaStream,
  ) {
    this.chunks = Array.from({ length: 2 }, () => ({ host: context.allocateHost(chunkBytes), done: context.createEvent(), used: 0 }));
  }

  write(to: DevicePointer, dtype: DType, values: HostArray): void {
    const size = byteSize(dtype);
    for (let first = 0; first < values.length;) {
      let chunk = this.chunks[this.current];
      if (chunk.used + size > chunkBytes || (chunk.used > 0 && chunk.used + (values.length - first) * size > chunkBytes)) chunk = this.next();
      const count = Math.min(values.length - first, Math.floor((chunkBytes - chunk.used) / size));
      writeValues(chunk.host.bytes, chunk.used, dtype, values.subarray(first, first + count));
      this.stream.upload(to + BigInt(first * size), chunk.host.pointer + BigInt(chunk.used), count * size);
      chunk.used = Math.ceil((chunk.used + count * size) / 64) * 64;
      first += count;
    }
  }

  /** The other chunk, once all copies out of it are done. */
  private next(): Chunk {
    this.chunks[this.current].done.record(this.stream);
    this.current = 1 - this.current;
    const chunk = this.chunks[this.current];
    chunk.done.synchronize();
    chunk.used = 0;
    return chunk;
  }

  close(): void {
    for (const { host, done } of this.chunks) {
      done.destroy();
      this.context.freeHost(host);
    }
  }
}

/** A copy to the host that is under way. */
export interface Download {
  readonly host: HostBuffer;
  readonly done: CudaEvent;
}

/** Device → host. Each read in flight has pinned memory of its own, which is kept for later ones. */
export class Downloads {
  private readonly kept = new Map<number, Download[]>();

  constructor(
    private readonly context: CudaContext,
    private readonly stream: CudaStream,
  ) {}

  /** Queues the copy of what the buffer holds after all work queued so far. */
  start(from: DevicePointer, bytes: number): Download {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
    const download = this.kept.get(size)?.pop() ?? { host: this.context.allocateHost(size), done: this.context.createEvent() };
    if (bytes > 0) this.stream.download(download.host.pointer, from, bytes);
    download.done.record(this.stream);
    return download;
  }

  /** The values of a copy that is done; gives its memory back. */
  finish(download: Download, dtype: DType, count: number): HostArray {
    const values = readValues(download.host.bytes, 0, dtype, count);
    const size = download.host.bytes.byteLength;
    // Large ones are rare (weights saved to disk) and pinned memory is scarce.
    if (size > 16 << 20) this.release(download);
    else this.kept.set(size, [...(this.kept.get(size) ?? []), download]);
    return values;
  }

  private release({ host, done }: Download): void {
    done.destroy();
    this.context.freeHost(host);
  }

  close(): void {
    for (const list of this.kept.values()) list.forEach((download) => this.release(download));
    this.kept.clear();
  }
}
