import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import type { ElementType } from '../../element-types';
import { rowPitch } from '../../views';

/** A batch of products: out (batch, m, n) = a (m, k) · b (k, n), row-major, each operand stored as it is or transposed. */
export interface Product {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  /** Elements from one matrix to the next, 0 where all products share it. */
  readonly strideA: number;
  readonly strideB: number;
  /** Elements from one stored row of a to the next: the pitch of a view, or their width. */
  readonly rowA: number;
  readonly typeA: ElementType;
  /** What a is in memory: its type, or float32 that is rounded to it on the way. */
  readonly storedA: ElementType;
  readonly typeB: ElementType;
  readonly typeOut: ElementType;
}

/** What a call multiplies. Rows that meet the same b become one tall product. */
export function productOf(call: RoutineCall): Product {
  const [a, b] = call.inputs as readonly [TensorSpec, TensorSpec];
  const transposeA = Boolean(call.attributes.transposeA);
  const transposeB = Boolean(call.attributes.transposeB);
  let [batch, m] = call.outputs[0].shape;
  const n = call.outputs[0].shape[2];
  const k = transposeA ? a.shape[1] : a.shape[2];
  const rowA = rowPitch(a, a.shape[2]);
  let strideA = a.shape[0] === 1 ? 0 : a.shape[1] * rowA;
  const strideB = b.shape[0] === 1 ? 0 : k * n;
  if (strideB === 0 && strideA !== 0 && !transposeA) {
    m *= batch;
    batch = Math.min(batch, 1);
    strideA = 0;
  }
  const types = { typeA: a.dtype as ElementType, storedA: a.view?.stored ?? (a.dtype as ElementType), typeB: b.dtype as ElementType, typeOut: call.outputs[0].dtype as ElementType };
  // One row is the same bytes as one column, unless it is part of a view.
  const turns = transposeA && m === 1 && !a.view;
  return { batch, m, n, k, transposeA: transposeA && !turns, transposeB: transposeB || n === 1, strideA, strideB, rowA: turns ? k : rowA, ...types };
}

/** Elements of a stored row of a; of b. */
export function contiguousA(p: Product): number {
  return p.transposeA ? p.m : p.k;
}

export function contiguousB(p: Product): number {
  return p.transposeB ? p.k : p.n;
}

/** The product with a and b in each other's place: the transposed result. */
export function swapped(p: Product): Product {
  const { m, n, transposeA, transposeB, strideA, strideB } = p;
  return { ...p, m: n, n: m, transposeA: !transposeB, transposeB: !transposeA, strideA: strideB, strideB: strideA, rowA: contiguousB(p) };
}

/** Floating-point operations, for people. */
export function operations({ batch, m, n, k }: Product): string {
  const count = 2 * batch * m * n * k;
  const unit = count >= 1e12 ? 1e12 : count >= 1e9 ? 1e9 : 1e6;
  const name = { 1e12: 'TFLOP', 1e9: 'GFLOP', 1e6: 'MFLOP' }[unit as 1e12];
  return `${(count / unit).toPrecision(3)} ${name}`;
}
