import type { CudaContext, CudaStream, DevicePointer, HostBuffer } from '@mamba-ts/scan-cuda/driver';
import { faultError } from '@mamba-ts/tensor';

/**
 * The fault record: i32 [kind, value, position, limit] in device memory, followed by the address of its twin in pinned host memory (u64). A
 * kernel that meets a bad value fills in both and goes on with a harmless one. From then on nothing that outlives a program is written: kernels
 * that store to such memory look at `kind` first. The host sees the twin without waiting, throws, and clears both.
 */
export class Faults {
  readonly record: DevicePointer;
  private readonly twin: HostBuffer;
  private readonly words: Int32Array;

  constructor(
    private readonly context: CudaContext,
    private readonly stream: CudaStream,
  ) {
    this.twin = context.allocateHost(16);
    this.words = new Int32Array(this.twin.bytes);
    this.words.fill(0);
    this.record = context.allocate(24);
    context.upload(this.record, BigUint64Array.of(0n, 0n, this.twin.pointer));
  }

  /** Throws the fault of work that has run, if any, after the rest of the queued work. Cheap: reads host memory. */
  check(): void {
    if (this.words[0] === 0) return;
    // What is queued already still sees the record and changes nothing.
    this.stream.synchronize();
    const [kind, value, position, limit] = this.words;
    this.words.fill(0);
    this.stream.fillWords(this.record, 0, 4);
    throw faultError(kind, value, position, limit);
  }

  close(): void {
    this.context.free(this.record);
    this.context.freeHost(this.twin);
  }
}
