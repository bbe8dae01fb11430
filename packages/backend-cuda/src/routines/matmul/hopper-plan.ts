import type { OwnPlan } from './own-plan';
import { type Product, swapped } from './product';

/** What a plan needs to know of a card; a `CudaContext` says it. */
export interface Card {
  readonly multiprocessors: number;
  readonly computeCapability: readonly [major: number, minor: number];
  /** Bytes that one block may have. */
  readonly sharedMemoryPerBlock: number;
}

/** Tensor cores' and copy engine's instructions of Hopper are this architecture's alone: no later card has them. */
export function isHopper({ computeCapability: [major, minor] }: Card): boolean {
  return major === 9 && minor === 0;
}

/** Terms that a step of either kernel takes. */
const depth = 32;
/** kernels/matmul-tall.cu: warps of a block, rows of four warps, bytes of 32 terms of a warp's 16 rows. */
const tall = { warps: 12, rows: 64, stageBytes: 16 * (depth + 4) * 4 };
/** kernels/matmul-long.cu: rows of the result that a block sums, and stages of 32 terms of them and of its columns. */
const long = { rows: 128, stages: 3 };
/** More tiles than these read a and b too often. */
const mostLongTiles = 8;

/** Small products of float32 with very many rows, or of very many terms, on Hopper's tensor cores (results/h200-training-4096.txt); null: another kernel's. */
export function planHopper(p: Product, card: Card): OwnPlan | null {
  if (!isHopper(card) || p.typeA !== 'float32' || p.typeB !== 'float32' || p.batch !== 1) return null;
  if (Math.max(p.m, p.n, p.k) >= 2 ** 31) return null;
  if (p.transposeA) return p.transposeB ? null : planLong(p, card);
  return planTall(p, card);
}

/** Columns of a tile: as few tiles as there may be, of equal widths. */
function columnsOf(n: number): number {
  return Math.ceil(n / Math.ceil(n / 64) / 16) * 16;
}

/** Many rows of a by a b that fits shared memory in two parts. */
function planTall(p: Product, { multiprocessors, sharedMemoryPerBlock }: Card): OwnPlan | null {
  const { m, n, k, rowA } = p;
  const tiles = Math.ceil(m / tall.rows);
  // Blocks that have little to do are not worth what it takes to split b.
  if (tiles < 3 * multiprocessors || n === 0 || k === 0 || [n, k, rowA].some((elements) => elements % 4 !== 0)) return null;
  const columns = columnsOf(n);
  const passes = Math.ceil(n / columns);
  const chunks = Math.ceil(k / depth);
  const bytesB = 2 * 4 * passes * columns * chunks * depth;
  const stages = Math.min(8, Math.floor((sharedMemoryPerBlock - bytesB) / (tall.warps * tall.stageBytes)));
  // Rows that meet several tiles of columns stay, and the next ones should be on their way.
  if (stages < (passes > 1 ? chunks + 1 : 2)) return null;
  return {
    module: 'tall',
    kernel: `three_tf32_tall_${columns}`,
    grid: [Math.min(multiprocessors, tiles), 1, 1],
    threads: 32 * tall.warps,
    sharedBytes: bytesB + stages * tall.warps * tall.stageBytes,
    ...{ lanes: 0, prefetch: false, parts: 1, partK: k, swapped: false },
  };
}

/** Sums over many rows of a and b, in parts: two blocks a multiprocessor. */
function planLong(p: Product, { multiprocessors }: Card): OwnPlan | null {
  const tilesOf = (q: Product): number => Math.ceil(q.m / long.rows) * Math.ceil(q.n / columnsOf(q.n));
  if (p.batch * p.m * p.n * p.k < 2 ** 26 || [p.m, p.n, p.rowA].some((elements) => elements % 4 !== 0)) return null;
  const turned = swapped(p);
  const swap = p.rowA === p.m && tilesOf(turned) < tilesOf(p);
  const of = swap ? turned : p;
  const tiles = tilesOf(of);
  const room = Math.floor((64 * 2 ** 20) / (p.m * p.n * 4));
  const wanted = Math.min(Math.floor((2 * multiprocessors) / tiles), Math.floor(p.k / 256), room);
  if (tiles > mostLongTiles || wanted < 2) return null;
  const partK = Math.ceil(p.k / wanted / depth) * depth;
  const columns = columnsOf(of.n);
  return {
    module: 'long',
    kernel: `three_tf32_long_${columns}`,
    grid: [tiles, Math.ceil(p.k / partK), 1],
    threads: 256,
    sharedBytes: 4 * depth * (long.stages * (long.rows + 8 + columns) + 2 * columns),
    ...{ lanes: 0, prefetch: false, parts: Math.ceil(p.k / partK), partK, swapped: swap },
  };
}
