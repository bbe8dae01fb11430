import type { BinaryOp, UnaryOp } from './compile/kernel';
import type { Device } from './device';
import { byteSize, type DType, type HostArray } from './dtype';
import { DeviceError, DisposedError, ShapeError } from './errors';
import * as build from './graph/build';
import type { Node } from './graph/node';
import * as routines from './graph/routine-nodes';
import { realizeNodes } from './realize';
import { checkShape, formatShape, normalizeAxis, sizeOf, type Shape } from './shape';
import { unwatch, watch } from './leaks';
import { register, unregister } from './scope';
import { forbidInTrace } from './trace';

/** A tensor, or a number that takes the tensor's type and device. */
export type Operand = Tensor | number;

/**
 * An immutable n-dimensional array that is computed when its value is needed. Ops never consume their arguments.
 *
 * Memory is freed by `dispose()`, `using` or `scope(() => …)`; temporaries of an expression hold none.
 */
export class Tensor {
  protected current: Node;
  private disposed = false;

  /** @internal Tensors come from `tensor`, `zeros`, … and from ops. */
  constructor(node: Node) {
    this.current = node;
    node.retain();
    register(this);
    watch(this, node);
  }

  /** @internal The graph node. */
  get node(): Node {
    if (this.disposed) throw new DisposedError(`a tensor of shape ${formatShape(this.current.shape)} was used after dispose()`);
    return this.current;
  }

  get shape(): Shape {
    return this.current.shape;
  }

  get dtype(): DType {
    return this.current.dtype;
  }

  get device(): Device {
    return this.current.device;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.current.shape);
  }

  /** Bytes in device memory once computed. */
  get byteLength(): number {
    return this.size * byteSize(this.dtype);
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  /** Computes the value now. Returns this. */
  realize(): this {
    realizeNodes([this.node]);
    return this;
  }

  /** The values, row-major; a copy. float types come as Float32Array (Float64Array on the reference device). */
  async data(): Promise<HostArray> {
    forbidInTrace('data()');
    this.realize();
    return this.device.backend.read(this.node.memory(), this.dtype, this.size);
  }

  /** As `data`, blocking. @throws DeviceError on devices that cannot block (WebGPU). */
  dataSync(): HostArray {
    forbidInTrace('dataSync()');
    this.realize();
    const backend = this.device.backend;
    if (!backend.readSync) throw new DeviceError(`dataSync: the ${backend.name} device cannot block; use await data()`);
    return backend.readSync(this.node.memory(), this.dtype, this.size);
  }

  /** The one value of a one-element tensor. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item: x has shape ${formatShape(this.shape)}, expected one element`);
    return Number((await this.data())[0]);
  }

  /** Releases this handle; the memory goes when no pending computation needs it. Safe to call twice. */
  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    unregister(this);
    unwatch(this);
    this.current.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    return `Tensor(${this.dtype}, ${formatShape(this.shape)}, ${this.device.name})`;
  }

  // Elementwise; numbers and shapes broadcast as NumPy's.

  add(other: Operand): Tensor { return this.binary('add', other); }
  sub(other: Operand): Tensor { return this.binary('sub', other); }
  mul(other: Operand): Tensor { return this.binary('mul', other); }
  /** int32: truncated; by zero gives 0. */
  div(other: Operand): Tensor { return this.binary('div', other); }
  pow(other: Operand): Tensor { return this.binary('pow', other); }
  minimum(other: Operand): Tensor { return this.binary('min', other); }
  maximum(other: Operand): Tensor { return this.binary('max', other); }
  less(other: Operand): Tensor { return this.binary('lt', other); }
  lessEqual(other: Operand): Tensor { return this.binary('le', other); }
  greater(other: Operand): Tensor { return lift(other, this).binary('lt', this); }
  greaterEqual(other: Operand): Tensor { return lift(other, this).binary('le', this); }
  equal(other: Operand): Tensor { return this.binary('eq', other); }
  notEqual(other: Operand): Tensor { return this.binary('ne', other); }
  and(other: Operand): Tensor { return this.binary('and', other); }
  or(other: Operand): Tensor { return this.binary('or', other); }
  xor(other: Operand): Tensor { return this.binary('xor', other); }
  shiftLeft(other: Operand): Tensor { return this.binary('shl', other); }
  /** Logical (zeros come in). */
  shiftRight(other: Operand): Tensor { return this.binary('shr', other); }

  neg(): Tensor { return this.unary('neg'); }
  abs(): Tensor { return this.unary('abs'); }
  sign(): Tensor { return this.unary('sign'); }
  exp(): Tensor { return this.unary('exp'); }
  expm1(): Tensor { return this.unary('expm1'); }
  log(): Tensor { return this.unary('log'); }
  log1p(): Tensor { return this.unary('log1p'); }
  sqrt(): Tensor { return this.unary('sqrt'); }
  rsqrt(): Tensor { return this.unary('rsqrt'); }
  reciprocal(): Tensor { return this.unary('reciprocal'); }
  sin(): Tensor { return this.unary('sin'); }
  cos(): Tensor { return this.unary('cos'); }
  tanh(): Tensor { return this.unary('tanh'); }
  erf(): Tensor { return this.unary('erf'); }
  sigmoid(): Tensor { return this.unary('sigmoid'); }
  softplus(): Tensor { return this.unary('softplus'); }
  floor(): Tensor { return this.unary('floor'); }
  not(): Tensor { return this.unary('not'); }
  square(): Tensor { return this.mul(this); }
  cast(dtype: DType): Tensor { return new Tensor(build.cast(this.node, dtype)); }

  // Reductions over `axes` (all by default).

  sum(axes?: number | readonly number[], keepDims = false): Tensor { return this.reduce('sum', axes, keepDims); }
  max(axes?: number | readonly number[], keepDims = false): Tensor { return this.reduce('max', axes, keepDims); }
  min(axes?: number | readonly number[], keepDims = false): Tensor {
    return new Tensor(build.unary('neg', this.neg().max(axes, keepDims).node));
  }
  mean(axes?: number | readonly number[], keepDims = false): Tensor {
    const total = this.reduce('sum', axes, keepDims);
    return total.mul(total.size / this.size);
  }

  // Views: no memory, composed into the loads of the kernels that read them.

  /** One size may be -1: it is worked out from the others. */
  reshape(...shape: readonly number[]): Tensor {
    const hole = shape.indexOf(-1);
    const target = [...shape];
    if (hole >= 0) {
      target[hole] = 1;
      const known = sizeOf(target);
      target[hole] = known === 0 ? 0 : this.size / known;
      if (!Number.isInteger(target[hole]) || shape.lastIndexOf(-1) !== hole) {
        throw new ShapeError(`reshape: x has shape ${formatShape(this.shape)}, which does not fit ${formatShape(shape)}`);
      }
    }
    checkShape(target, 'reshape');
    return new Tensor(build.reshape(this.node, target));
  }

  permute(...axes: readonly number[]): Tensor { return new Tensor(build.permute(this.node, axes)); }

  /** Swaps two axes (the last two by default). */
  transpose(a = -2, b = -1): Tensor {
    const rank = this.shape.length;
    const axes = this.shape.map((_, i) => i);
    const x = normalizeAxis(a, rank, 'transpose');
    const y = normalizeAxis(b, rank, 'transpose');
    [axes[x], axes[y]] = [axes[y], axes[x]];
    return new Tensor(build.permute(this.node, axes));
  }

  /** Broadcasts axes of size 1, and new leading axes, to `shape`. */
  expand(...shape: readonly number[]): Tensor {
    checkShape(shape, 'expand');
    return new Tensor(build.expand(this.node, shape));
  }

  /** Elements [start, end) along an axis, every `step`-th; negative positions count from the end, as in Python. */
  slice(axis: number, start = 0, end?: number, step = 1): Tensor {
    const a = normalizeAxis(axis, this.shape.length, 'slice');
    const n = this.shape[a];
    if (!Number.isInteger(step) || step < 1) throw new ShapeError(`slice: step is ${step}, expected an integer >= 1 (use flip to reverse)`);
    const clamp = (v: number): number => Math.min(Math.max(v < 0 ? v + n : v, 0), n);
    const from = clamp(start);
    const to = clamp(end ?? n);
    const shape = [...this.shape];
    shape[a] = Math.max(0, Math.ceil((to - from) / step));
    const starts = shape.map(() => 0);
    const steps = shape.map(() => 1);
    starts[a] = from;
    steps[a] = step;
    return new Tensor(build.slice(this.node, starts, steps, shape));
  }

  flip(axis: number): Tensor {
    const a = normalizeAxis(axis, this.shape.length, 'flip');
    const starts = this.shape.map((d, i) => (i === a ? Math.max(d - 1, 0) : 0));
    const steps = this.shape.map((_, i) => (i === a ? -1 : 1));
    return this.shape[a] === 0 ? this : new Tensor(build.slice(this.node, starts, steps, this.shape));
  }

  /** Zeros around: `before` and `after` elements along an axis. */
  pad(axis: number, before: number, after: number): Tensor {
    const a = normalizeAxis(axis, this.shape.length, 'pad');
    if (!(before >= 0 && after >= 0)) throw new ShapeError(`pad: before is ${before} and after ${after}, expected integers >= 0`);
    const shape = [...this.shape];
    shape[a] += before + after;
    checkShape(shape, 'pad');
    return new Tensor(build.pad(this.node, shape.map((_, i) => (i === a ? before : 0)), shape));
  }

  /** Adds an axis of size 1. */
  unsqueeze(axis: number): Tensor {
    const a = normalizeAxis(axis, this.shape.length + 1, 'unsqueeze');
    return new Tensor(build.reshape(this.node, [...this.shape.slice(0, a), 1, ...this.shape.slice(a)]));
  }

  /** Removes an axis of size 1. */
  squeeze(axis: number): Tensor {
    const a = normalizeAxis(axis, this.shape.length, 'squeeze');
    if (this.shape[a] !== 1) throw new ShapeError(`squeeze: x has shape ${formatShape(this.shape)}, expected size 1 on axis ${axis}`);
    return new Tensor(build.reshape(this.node, this.shape.filter((_, i) => i !== a)));
  }

  /** Matrix product with NumPy's rules; operands may be given transposed. */
  matmul(other: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
    return new Tensor(routines.matmul(this.node, other.node, options.transposeA ?? false, options.transposeB ?? false));
  }

  /** The same values with no gradient flowing through. */
  stopGradient(): Tensor { return new Tensor(build.mark(this.node, 'stopGradient')); }

  /**
   * The same value, with a hint for `compile`: a step that changes none of the variables behind it computes it once and keeps it, and computes it
   * anew after one of them has changed. For what is made of weights alone, A = −exp(A_log) of a decoder. Nothing else changes: gradients flow.
   */
  derived(): Tensor { return new Tensor(build.mark(this.node, 'derived')); }

  private unary(op: UnaryOp): Tensor {
    return new Tensor(build.unary(op, this.node));
  }

  private binary(op: BinaryOp, other: Operand): Tensor {
    return new Tensor(build.binary(op, this.node, operandNode(other, this)));
  }

  private reduce(op: 'sum' | 'max', axes: number | readonly number[] | undefined, keepDims: boolean): Tensor {
    const rank = this.shape.length;
    const list = axes === undefined ? this.shape.map((_, i) => i) : (typeof axes === 'number' ? [axes] : axes).map((a) => normalizeAxis(a, rank, op));
    const node = build.reduce(op, this.node, list);
    if (!keepDims) return new Tensor(node);
    return new Tensor(build.reshape(node, this.shape.map((d, i) => (list.includes(i) ? 1 : d))));
  }
}

/** A number as a constant that fits the tensor it meets: integers stay integers beside int32. */
export function operandNode(value: Operand, like: Tensor): Node {
  if (typeof value !== 'number') return value.node;
  const dtype = like.dtype === 'int32' && Number.isInteger(value) ? 'int32' : like.dtype === 'int32' || like.dtype === 'bool' ? 'float32' : like.dtype;
  return build.constant(like.device, value, like.dtype === 'bool' && Number.isInteger(value) ? 'int32' : dtype);
}

function lift(value: Operand, like: Tensor): Tensor {
  return typeof value === 'number' ? new Tensor(operandNode(value, like)) : value;
}
