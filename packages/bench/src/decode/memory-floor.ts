import { type CompiledStep, compile, type Tensor, type Variable, variable, zeros } from '@mamba-ts/tensor';

/** As how many sequential streams the bytes are read: which is fastest depends on the machine's prefetchers and threads. */
const streamCounts = [1, 4, 8] as const;

/**
 * Read-only passes over one buffer of `bytes` bytes, on all threads of the default device: no step that reads as much can be faster than the
 * fastest of them. Each is one sum, whose loop reads from the cache several times faster than any memory delivers.
 */
export class MemoryFloor {
  readonly passes: readonly { readonly streams: number; read(): void }[];
  private readonly buffer: Variable;
  private readonly steps: CompiledStep<[], Tensor>[];

  constructor(bytes: number) {
    const part = Math.ceil(bytes / 4 / Math.max(...streamCounts));
    const initial = zeros([part * Math.max(...streamCounts)]);
    this.buffer = variable(initial);
    initial.dispose();
    this.steps = streamCounts.map((streams) => compile(() => this.sum(streams)));
    this.passes = streamCounts.map((streams, i) => ({ streams, read: () => void this.steps[i]() }));
  }

  /** One kernel: the parts of the buffer are added element by element on their way into the sum. */
  private sum(streams: number): Tensor {
    const length = this.buffer.shape[0] / streams;
    return Array.from({ length: streams }, (_, i) => this.buffer.slice(0, i * length, (i + 1) * length))
      .reduce((a, b) => a.add(b))
      .sum();
  }

  dispose(): void {
    for (const step of this.steps) step.dispose();
    this.buffer.dispose();
  }
}
