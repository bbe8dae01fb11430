import { OutOfRangeError, ShapeError } from './errors';

/** Dimensions, outermost first. The empty shape is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** Row-major strides in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let s = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = s;
    s *= shape[i];
  }
  return strides;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** `(2, 64, 8)`, the way shapes are written in messages. */
export function formatShape(shape: Shape): string {
  return `(${shape.join(', ')})`;
}

/** NumPy broadcasting of two shapes. `op` names the caller in the error. */
export function broadcastShapes(a: Shape, b: Shape, op: string): number[] {
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError(`${op}: shapes ${formatShape(a)} and ${formatShape(b)} do not broadcast (axis ${i - rank}: ${da} and ${db})`);
    }
    out[i] = da === 1 ? db : da;
  }
  return out;
}

/** A shape given by a user: non-negative integers whose product is a safe integer. */
export function checkShape(shape: Shape, op: string): void {
  if (!Array.isArray(shape)) throw new ShapeError(`${op}: shape is ${String(shape)}, expected an array of integers`);
  for (const d of shape) {
    if (!Number.isInteger(d) || d < 0) throw new ShapeError(`${op}: shape ${formatShape(shape)} has the dimension ${d}, expected integers >= 0`);
  }
  if (!Number.isSafeInteger(sizeOf(shape))) throw new ShapeError(`${op}: shape ${formatShape(shape)} has too many elements`);
}

/** An axis in [-rank, rank) as one in [0, rank). */
export function normalizeAxis(axis: number, rank: number, op: string): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new OutOfRangeError(`${op}: axis is ${axis}, expected an integer in [${-rank}, ${rank - 1}]`);
  }
  return axis < 0 ? axis + rank : axis;
}
