import { type Card, isHopper } from './hopper-plan';
import type { Product } from './product';

/** How the kernels for 9 to 64 rows compute a product (kernels/matmul-narrow.cuh, matmul-narrow-stream.cuh). Pure arithmetic. */
export interface NarrowPlan {
  /** Are these kernels for Hopper? */
  readonly hopper: boolean;
  readonly kernel: string;
  /** Parts of k, tiles of columns, tiles of rows. */
  readonly grid: readonly [number, number, number];
  readonly threads: number;
  readonly sharedBytes: number;
  /** Columns and rows of a tile. */
  readonly tile: readonly [columns: number, rows: number];
  /** Do tiles of both operands come by the copy engine, so that the kernel takes tensor maps? */
  readonly streams: boolean;
  /** Pieces that the sum over k is cut into, each in a block of its own, and the terms of one. */
  readonly parts: number;
  readonly partK: number;
  /** Blocks that add up their parts from each other's shared memory. Fewer than there are parts: a second kernel adds them up. */
  readonly cluster: number;
  /** Tiles of b in shared memory at once, and on their way to the cache beyond them. */
  readonly stages: number;
  readonly prefetch: number;
}

/** Terms of k that a stage holds, 128 bytes of a row. */
const depth = 64;
const rowBytes = depth * 2;
/** Shared memory for two blocks on a multiprocessor of 228 KiB, and for one. */
const halfSharedBytes = 113 * 1024;
const wholeSharedBytes = 217 * 1024;
/** What the barriers of a stage take. */
const barrierBytes = 16;

interface Tile {
  readonly columns: number;
  readonly rows: number;
}

/** Tiles of mma.sync that there are kernels for: columns × rows of the result, pieces of a stage that warps share out, threads. */
const tiles = [
  { columns: 128, rows: 64, warpsK: 2, threads: 256, name: 'n64x2_m32x2' },
  { columns: 128, rows: 32, warpsK: 4, threads: 256, name: 'n64x2_m32x1' },
  { columns: 128, rows: 16, warpsK: 2, threads: 128, name: 'n64x2_m16x1' },
  { columns: 32, rows: 32, warpsK: 4, threads: 128, name: 'n32x1_m32x1' },
  { columns: 32, rows: 16, warpsK: 4, threads: 128, name: 'n32x1_m16x1' },
] as const;

/** Do the kernels have this product: few rows, but too many for dot products, bfloat16, rows of whole vectors? */
export function takesNarrow({ batch, m, n, k, transposeA, transposeB, rowA, typeA, storedA, typeB }: Product): boolean {
  const sizes = batch === 1 && m > 8 && m <= 64 && n > 0 && k > 0 && n <= 2 ** 20 && k <= 2 ** 24;
  const aligned = k % 8 === 0 && rowA % (storedA === 'float32' ? 4 : 8) === 0;
  return sizes && aligned && typeA === 'bfloat16' && typeB === 'bfloat16' && transposeB && !transposeA;
}

/**
 * Are they faster than cuBLASLt in a program (results/h200-narrow.txt)? Measured on Hopper alone. A result that has more tiles than there are
 * multiprocessors is the library's.
 */
export function prefersNarrow(p: Product, card: Card): boolean {
  return takesNarrow(p) && isHopper(card) && blocksOf(p, { columns: 64, rows: 64 }) <= card.multiprocessors;
}

export function planNarrow(p: Product, card: Card): NarrowPlan {
  if (isHopper(card) && p.storedA === 'bfloat16') return planStream(p, card);
  const rows = rowsOf(p);
  const wide = { columns: 128, rows };
  const busy = blocksOf(p, wide) * partsOf(p, wide, 8, card.multiprocessors);
  // float32 is rounded on its way through registers, in slim tiles.
  return planTile(p, p.storedA === 'bfloat16' && busy >= 0.6 * card.multiprocessors ? wide : { columns: 32, rows: Math.min(rows, 32) }, card);
}

function rowsOf({ m }: Product): number {
  return m <= 16 ? 16 : m <= 32 ? 32 : 64;
}

function blocksOf({ m, n }: Product, { columns, rows }: Tile): number {
  return Math.ceil(n / columns) * Math.ceil(m / rows);
}

/** Parts of k, a power of two: no more blocks than `most`, and two stages at least for each. */
function partsOf(p: Product, tile: Tile, mostParts: number, most: number): number {
  let parts = 1;
  while (parts < mostParts && 2 * parts * blocksOf(p, tile) <= most && p.k / (2 * parts) >= 2 * depth) parts *= 2;
  return parts;
}

/** Whole stages for each part but the last. */
function termsOf(k: number, parts: number): number {
  return parts > 1 ? Math.ceil(k / parts / depth) * depth : k;
}

function gridOf({ m, n }: Product, { columns, rows }: Tile, parts: number): NarrowPlan['grid'] {
  return [parts, Math.ceil(n / columns), Math.ceil(m / rows)];
}

function planTile(p: Product, { columns, rows }: Tile, card: Card): NarrowPlan {
  const { warpsK, threads, name } = tiles.find((t) => t.columns === columns && t.rows === rows) as (typeof tiles)[number];
  const hopper = isHopper(card);
  const parts = partsOf(p, { columns, rows }, 8, card.multiprocessors);
  const partK = termsOf(p.k, parts);
  const ring = (stages: number): number => (stages * columns + 2 * rows) * rowBytes;
  const most = Math.min(halfSharedBytes, card.sharedMemoryPerBlock);
  const fitting = [4, 6, 12].filter((stages) => stages === 4 || ring(stages) <= most);
  // No more than a part has, and the one that is being refilled.
  const stages = fitting.find((s) => s > Math.ceil(partK / depth)) ?? (fitting.at(-1) as number);
  return {
    ...{ hopper, threads, parts, partK, stages, prefetch: 0, streams: false },
    kernel: `narrow_${p.storedA === 'float32' ? 'f32' : 'bf16'}_${name}`,
    grid: gridOf(p, { columns, rows }, parts),
    sharedBytes: Math.max(ring(stages), warpsK * rows * (columns + 4) * 4),
    tile: [columns, rows],
    cluster: hopper ? parts : 1,
  };
}

/** Hopper's copy engine and tensor cores: 64 columns for each four warps. */
function planStream(p: Product, { multiprocessors, sharedMemoryPerBlock }: Card): NarrowPlan {
  const rows = rowsOf(p);
  const [slim, wide] = [{ columns: 64, rows }, { columns: 128, rows }];
  // One block a multiprocessor with all of its memory: tiles that need not be cut, or clusters of a few wide ones. Clusters of four do not fill the
  // multiprocessors, which come in groups of 16 and 18.
  const widest = partsOf(p, wide, 4, 0.75 * multiprocessors);
  const whole = blocksOf(p, slim);
  const [tile, parts, deep] =
    whole >= 0.6 * multiprocessors ? [slim, 1, whole <= multiprocessors] as const
    : widest > 1 && widest * blocksOf(p, wide) >= 0.4 * multiprocessors ? [wide, widest, true] as const
    : [slim, partsOf(p, slim, 8, multiprocessors), false] as const;
  const partK = termsOf(p.k, parts);
  const iterations = Math.ceil(partK / depth);
  const stageBytes = (tile.columns + rows) * rowBytes + barrierBytes;
  const room = Math.min(deep ? wholeSharedBytes : halfSharedBytes, sharedMemoryPerBlock);
  // Two at least: the result's tile takes their place.
  const stages = Math.max(2, Math.min(Math.floor(room / stageBytes), iterations));
  const groups = tile.columns / 64;
  return {
    ...{ hopper: true, threads: groups * 128 + 32, parts, partK, stages, streams: true, cluster: parts },
    prefetch: deep && parts > 1 ? Math.min(8, Math.max(0, iterations - stages)) : 0,
    kernel: `narrow_stream_n${groups}_m${rows}`,
    grid: gridOf(p, tile, parts),
    sharedBytes: stages * stageBytes,
    tile: [tile.columns, rows],
  };
}
