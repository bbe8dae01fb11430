/** A tile of the result and how it is divided: every invocation has `rows` by `columns` (multiples of 4) of it in registers. */
export interface Tile {
  readonly m: number;
  readonly n: number;
  /** Depth of the slabs of a and b that are staged in workgroup memory, a multiple of 4. */
  readonly k: number;
  readonly rows: number;
  readonly columns: number;
}

/** Slices that k is cut into, of `chunk` each, a multiple of the tile's depth if there are several. */
export interface Split {
  readonly slices: number;
  readonly chunk: number;
}

export function tileThreads(t: Tile): number {
  return (t.m / t.rows) * (t.n / t.columns);
}

/** Bytes of workgroup memory. */
export function tileBytes(t: Tile): number {
  return t.k * (slabStride(t.m) + slabStride(t.n)) * 16;
}

/** Vectors from one k to the next in workgroup memory: one more than there are, which spreads the transposed stores over the banks. */
export function slabStride(outer: number): number {
  return outer / 4 + 1;
}

/** `slices` slices of k, or fewer where they would be shorter than a slab. */
export function splitOf(k: number, tile: Tile, slices: number): Split {
  if (slices <= 1) return { slices: 1, chunk: k };
  const chunk = Math.ceil(k / slices / tile.k) * tile.k;
  return { slices: Math.max(1, Math.ceil(k / chunk)), chunk };
}
