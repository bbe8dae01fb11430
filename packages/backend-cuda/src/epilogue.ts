import { type Access, type Kernel, type Shape, sizeOf } from '@mamba-ts/tensor';
import type { ElementType } from './element-types';

/** What a routine's code can do to its first output on the way to memory: activation(y + bias) + residual, stored as `type`. */
export interface SimpleEpilogue {
  readonly type: ElementType;
  /** Buffer number of a float32 vector along the last axis. */
  readonly bias?: number;
  readonly activation?: 'silu' | 'relu';
  /** Buffer number and type of an array of the output's shape. */
  readonly residual?: { readonly buffer: number; readonly type: ElementType };
}

const floats: readonly string[] = ['float32', 'bfloat16', 'float16'];

/** The kernel as such an epilogue over an output of `shape`; null if it does anything else. */
export function simpleEpilogue(kernel: Kernel, shape: Shape): SimpleEpilogue | null {
  const [store] = kernel.stores;
  if (kernel.stores.length !== 1 || kernel.reduces.length > 0 || !floats.includes(store.access.dtype)) return null;
  const matcher = new Matcher(kernel, shape);
  let value = store.value;
  // The rounding of the store itself.
  const last = kernel.body[value];
  if (last.op === 'cast' && last.to === store.access.dtype && last.to !== 'float32') [value] = last.args;
  const type = store.access.dtype as ElementType;
  const { value: activated, residual } = matcher.residual(value);
  const { value: biased, activation } = matcher.activation(activated);
  const { value: plain, bias } = matcher.bias(biased);
  if (!matcher.isOutput(plain)) return null;
  return { type, ...(residual && { residual }), ...(activation && { activation }), ...(bias !== undefined && { bias }) };
}

class Matcher {
  constructor(
    private readonly kernel: Kernel,
    private readonly shape: Shape,
  ) {}

  isOutput(value: number): boolean {
    return this.loadOf(value)?.buffer === 0;
  }

  /** x + residual, in either order. */
  residual(value: number): { readonly value: number; readonly residual?: SimpleEpilogue['residual'] } {
    const x = this.kernel.body[value];
    if (x.op !== 'add') return { value };
    for (const [own, other] of [x.args, [x.args[1], x.args[0]]]) {
      const load = this.loadOf(other);
      if (load && load.buffer !== 0 && floats.includes(load.dtype) && this.isPointwise(load)) {
        return { value: own, residual: { buffer: load.buffer, type: load.dtype as ElementType } };
      }
    }
    return { value };
  }

  /** x · sigmoid(x), or max(x, 0). */
  activation(value: number): { readonly value: number; readonly activation?: SimpleEpilogue['activation'] } {
    const x = this.kernel.body[value];
    if (x.op !== 'mul' && x.op !== 'max') return { value };
    for (const [own, other] of [x.args, [x.args[1], x.args[0]]]) {
      const second = this.kernel.body[other];
      if (x.op === 'mul' && second.op === 'sigmoid' && second.args[0] === own) return { value: own, activation: 'silu' };
      if (x.op === 'max' && second.op === 'const' && second.value === 0) return { value: own, activation: 'relu' };
    }
    return { value };
  }

  /** x + bias along the last axis. */
  bias(value: number): { readonly value: number; readonly bias?: number } {
    const x = this.kernel.body[value];
    if (x.op !== 'add') return { value };
    for (const [own, other] of [x.args, [x.args[1], x.args[0]]]) {
      const load = this.loadOf(other);
      if (load && load.buffer !== 0 && load.dtype === 'float32' && this.isAlongLast(load)) return { value: own, bias: load.buffer };
    }
    return { value };
  }

  private loadOf(value: number): Access | null {
    const x = this.kernel.body[value];
    return x.op === 'load' ? this.kernel.loads[x.load] : null;
  }

  private isPointwise({ guards, offset, strides }: Access): boolean {
    const { shape } = this;
    return guards.length === 0 && offset === 0 && shape.every((size, d) => size === 1 || strides[d] === sizeOf(shape.slice(d + 1)));
  }

  private isAlongLast({ guards, offset, strides }: Access): boolean {
    const { shape } = this;
    const last = shape.length - 1;
    return guards.length === 0 && offset === 0 && shape.every((size, d) => size === 1 || strides[d] === (d === last ? 1 : 0));
  }
}
