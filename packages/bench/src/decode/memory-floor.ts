import { type CompiledStep, compile, type Tensor, type Variable, variable, zeros } from '@mamba-ts/tensor';

/**
 * A read-only pass over a buffer of `bytes` bytes, on all threads of the default device: no step that reads as much can be faster. Its sum loop
 * reads from the cache several times faster than any memory delivers.
 */
export class MemoryFloor {
  private readonly buffer: Variable;
  private readonly pass: CompiledStep<[], Tensor>;

  constructor(bytes: number) {
    const initial = zeros([Math.ceil(bytes / 4)]);
    this.buffer = variable(initial);
    initial.dispose();
    this.pass = compile(() => this.buffer.sum());
  }

  read(): void {
    this.pass();
  }

  dispose(): void {
    this.pass.dispose();
    this.buffer.dispose();
  }
}
