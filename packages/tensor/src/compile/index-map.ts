import { contiguousStrides, type Shape } from '../shape';

/** An integer function of the loop indices: offset + sum_d strides[d] · i_d. Mutable: splitting a loop rewrites it. */
export interface Affine {
  offset: number;
  strides: number[];
}

/** An affine function that must lie in [0, size) for the value to exist (inside the unpadded part of a `pad`). */
export interface AffineGuard extends Affine {
  size: number;
}

/** For every axis of a tensor, which coordinate a loop iteration reads. */
export interface IndexMap {
  rows: Affine[];
  guards: AffineGuard[];
}

export function zero(rank: number): Affine {
  return { offset: 0, strides: new Array<number>(rank).fill(0) };
}

/** The loop nest itself: row d is loop index first + d. */
export function identityRows(rank: number, first: number, count: number): Affine[] {
  return Array.from({ length: count }, (_, d) => {
    const row = zero(rank);
    row.strides[first + d] = 1;
    return row;
  });
}

export function scaled(a: Affine, factor: number, offset = 0): Affine {
  return { offset: a.offset * factor + offset, strides: a.strides.map((s) => s * factor) };
}

/** Element number in a contiguous tensor of `shape`. */
export function flatten(rows: readonly Affine[], shape: Shape, rank: number): Affine {
  const flat = zero(rank);
  const strides = contiguousStrides(shape);
  rows.forEach((row, axis) => {
    flat.offset += row.offset * strides[axis];
    row.strides.forEach((s, d) => {
      flat.strides[d] += s * strides[axis];
    });
  });
  return flat;
}

/** Guards that hold where all of these do: one for each function of the loops, none that holds everywhere. Pads of pads leave many. */
export function mergeGuards(guards: readonly AffineGuard[], domain: Shape): AffineGuard[] {
  const ranges = new Map<string, { strides: number[]; low: number; high: number }>();
  for (const { offset, strides, size } of guards) {
    // The part without offset lies in [-offset, size - offset).
    const own = strides.map((s, d) => (domain[d] === 1 ? 0 : s));
    const known = ranges.get(own.join());
    const [low, high] = [Math.max(known?.low ?? -Infinity, -offset), Math.min(known?.high ?? Infinity, size - offset)];
    ranges.set(own.join(), { strides, low, high });
  }
  return [...ranges].flatMap(([, { strides, low, high }]) => {
    const end = (side: number): number => strides.reduce((sum, s, d) => sum + (Math.sign(s) === side ? s * (domain[d] - 1) : 0), 0);
    if (low <= end(-1) && end(1) < high) return [];
    return [{ offset: 0 - low, strides, size: Math.max(0, high - low) }];
  });
}

/** Text that two maps share exactly when they read the same elements. */
export function mapKey(map: IndexMap): string {
  const row = (a: Affine): string => `${a.offset}:${a.strides.join(',')}`;
  return `${map.rows.map(row).join(';')}|${map.guards.map((g) => `${row(g)}<${g.size}`).join(';')}`;
}

/** Loop d of `sizes` is to become two loops: outer of size n/inner and inner. */
export interface Split {
  readonly loop: number;
  readonly inner: number;
}

/**
 * Coordinates in `target` of the element that `rows` names in a tensor of `source` shape, both row-major with equally many elements: the index
 * map of a reshape. Merging axes is always affine; splitting one is when no carry can happen, possibly after splitting a loop. Gives the rows,
 * or the loop to split before trying again, or null if no affine form exists.
 */
export function reshapeRows(rows: readonly Affine[], source: Shape, target: Shape, domain: readonly number[]): Affine[] | Split | null {
  const out: Affine[] = [];
  let i = 0;
  let j = 0;
  while (j < target.length || i < source.length) {
    // The smallest runs of axes with equal products on both sides.
    const i0 = i;
    const j0 = j;
    let p = 1;
    let q = 1;
    if (i < source.length) p *= source[i++];
    if (j < target.length) q *= target[j++];
    while (p !== q) {
      if (p < q) {
        if (i >= source.length) return null;
        p *= source[i++];
      } else {
        if (j >= target.length) return null;
        q *= target[j++];
      }
    }
    // Size-1 axes that follow stay in this run, so that a trailing run never starts empty.
    while (i < source.length && source[i] === 1 && j >= target.length) i++;
    while (j < target.length && target[j] === 1 && i >= source.length) j++;
    const flat = flatten(rows.slice(i0, i), source.slice(i0, i), domain.length);
    const part = unflatten(flat, target.slice(j0, j), domain);
    if (part === null || !Array.isArray(part)) return part;
    out.push(...part);
  }
  return out;
}

/** Digits of an affine element number in mixed radix `shape`, or the loop whose split makes them affine, or null. */
function unflatten(flat: Affine, shape: Shape, domain: readonly number[]): Affine[] | Split | null {
  const strides = contiguousStrides(shape);
  const out = shape.map(() => zero(domain.length));
  const axes = shape.map((_, a) => a).filter((a) => shape[a] > 1);
  if (axes.length === 1) {
    out[axes[0]] = { offset: flat.offset, strides: [...flat.strides] };
    return out;
  }
  let rest = flat.offset;
  if (rest < 0) return null;
  for (const a of axes) {
    out[a].offset = Math.floor(rest / strides[a]);
    rest -= out[a].offset * strides[a];
  }
  for (let d = 0; d < domain.length; d++) {
    const c = flat.strides[d];
    if (c === 0 || domain[d] === 1) continue;
    if (c < 0) return null;
    const a = axes.find((x) => strides[x] <= c);
    if (a === undefined || c % strides[a] !== 0) return null;
    const limit = strides[a] * shape[a];
    if (c * (domain[d] - 1) >= limit) {
      const inner = limit / c;
      if (!Number.isInteger(inner) || inner <= 1 || domain[d] % inner !== 0) return null;
      return { loop: d, inner };
    }
    out[a].strides[d] = c / strides[a];
  }
  for (const a of axes) {
    let max = out[a].offset;
    for (let d = 0; d < domain.length; d++) max += out[a].strides[d] * (domain[d] - 1);
    if (max >= shape[a]) return null;
  }
  return out;
}
