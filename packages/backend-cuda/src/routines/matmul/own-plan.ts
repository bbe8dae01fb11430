import type { ElementType } from '../../element-types';
import { type Card, planHopper } from './hopper-plan';
import { contiguousA, contiguousB, type Product, swapped } from './product';

/** Which of the package's own kernels computes a product. Pure arithmetic. */
export interface OwnPlan {
  readonly module: 'few-rows-f32' | 'few-rows-bf16' | 'few-rows-f16' | 'float32' | 'three-tf32' | 'tall' | 'long' | 'bf16' | 'f16';
  readonly kernel: string;
  readonly grid: readonly [number, number, number];
  readonly threads: number;
  readonly sharedBytes: number;
  /** Few rows: lanes that share an output. */
  readonly lanes: number;
  /** Few rows: b is small enough to be fetched while the kernel before still runs. */
  readonly prefetch: boolean;
  /** Pieces that the sum over k is cut into, each in a block of its own, and the terms of one. */
  readonly parts: number;
  readonly partK: number;
  /** a and b change places: the kernel computes the transposed result, and stores the sums over its parts transposed. */
  readonly swapped: boolean;
}

/** Rows up to which reading b once at full speed matters more than arithmetic. */
const fewRows = 8;
const short = { float32: 'f32', bfloat16: 'bf16', float16: 'f16' } as const satisfies Record<ElementType, string>;
const maxBlocks = 2 ** 31 - 1;
/** Shared memory that a block may have on every card of compute capability 8.0 and later. */
const maxSharedBytes = 96 * 1024;
/** Above this, a prefetch only adds to what the memory does (measured on an H200). */
const prefetchedBytes = 8 * 2 ** 20;

/** Do the kernels for few rows have this call? */
export function hasFewRows(p: Product): boolean {
  const types = p.typeA === 'float32' || p.typeA === p.typeB;
  const fits = rowsTogether(p) * p.k * 4 <= maxSharedBytes;
  return p.m <= fewRows && p.transposeB && !p.transposeA && types && fits && p.batch <= 65535;
}

/** Products of float32 that three products of TF32 numbers compute sooner than the ordinary units do (results/h200-routines.txt). */
export function prefersThreeTf32(p: Product, card: Card): boolean {
  if (p.typeA !== 'float32' || p.typeB !== 'float32' || hasFewRows(p)) return false;
  return planHopper(p, card) !== null || runsThreeTf32(p);
}

/** On every card. */
function runsThreeTf32(p: Product): boolean {
  const { batch, m, n, k } = p;
  const fits = threeTf32Tiles(p) < 2 ** 24 && Math.max(m, n, k) < 2 ** 31;
  const aligned = [contiguousA(p), contiguousB(p), p.rowA, p.strideA, p.strideB].every((elements) => elements % 4 === 0);
  // A tile has 64 columns: few columns are for kernels that read a once, unless the sum is so long that it is cut.
  const wide = Math.min(m, n) >= (k > Math.max(m, n) ? 4 : 16);
  return fits && aligned && wide && k >= 32 && batch * m * n * k >= 2 ** 26;
}

export function planOwn(p: Product, card: Card): OwnPlan {
  const { multiprocessors } = card;
  if (hasFewRows(p)) return planFewRows(p, multiprocessors);
  if (prefersThreeTf32(p, card)) return planHopper(p, card) ?? planThreeTf32(p, multiprocessors);
  const halves = p.typeA !== 'float32' && p.typeA === p.typeB;
  if (halves && contiguousA(p) % 8 === 0 && p.rowA % 8 === 0 && contiguousB(p) % 8 === 0) return planHalf(p, multiprocessors);
  const plain = p.typeA === 'float32' && p.typeB === 'float32';
  const large = plain && tiles(p, 128) * 2 > multiprocessors && Math.min(p.m, p.n) > 64;
  const tile = large ? 128 : 64;
  const kernel = `${plain ? 'float32' : 'any'}_${tile}x${tile}`;
  return { module: 'float32', kernel, threads: 256, sharedBytes: 0, lanes: 0, prefetch: false, swapped: false, ...split(p, tile, 16, multiprocessors) };
}

function threeTf32Tiles({ batch, m, n }: Product): number {
  return batch * Math.ceil(m / 128) * Math.ceil(n / 64);
}

/** Two blocks a multiprocessor, which go through all tiles; long sums are cut where there are fewer tiles than that. */
function planThreeTf32(p: Product, multiprocessors: number): OwnPlan {
  const blocks = 2 * multiprocessors;
  const cut = (of: Product): Pick<OwnPlan, 'parts' | 'partK'> => {
    const room = Math.floor((64 * 2 ** 20) / (of.batch * of.m * of.n * 4));
    const wanted = Math.max(1, Math.min(Math.floor(blocks / threeTf32Tiles(of)), Math.floor(of.k / 256), room));
    const partK = wanted > 1 ? Math.ceil(of.k / wanted / 32) * 32 : of.k;
    return { parts: Math.ceil(of.k / partK), partK };
  };
  const turned = swapped(p);
  const swap = cut(turned).parts > 1 && p.rowA === contiguousA(p) && threeTf32Tiles(turned) < threeTf32Tiles(p);
  const of = swap ? turned : p;
  const { parts, partK } = cut(of);
  const layout = (of.transposeA ? 't' : 'n') + (of.transposeB ? 't' : 'n');
  // Three stages of 32 terms, for 128 rows of a and 64 of b; rows of shared memory have 4 elements more than they need, or 8.
  const operand = (rows: number, along: boolean): number => (along ? rows * 36 : 32 * (rows + 8)) * 4;
  return {
    module: 'three-tf32',
    kernel: `three_tf32_${layout}`,
    grid: [Math.min(blocks, threeTf32Tiles(of) * parts), 1, 1],
    threads: 128,
    sharedBytes: 3 * (operand(128, !of.transposeA) + operand(64, of.transposeB)),
    lanes: 0,
    prefetch: false,
    parts,
    partK,
    swapped: swap,
  };
}

function planFewRows(p: Product, multiprocessors: number): OwnPlan {
  const chunk = p.typeB === 'float32' ? 4 : 8;
  let lanes = 32;
  while (lanes > 1 && (lanes / 2) * chunk >= p.k) lanes /= 2;
  const rowsOfA = rowsTogether(p);
  // Four outputs a group of lanes where that still leaves eight warps for every multiprocessor.
  const warps = (p.n / 4) * (lanes / 32) * Math.ceil(p.m / rowsOfA) * p.batch;
  const outputs = warps >= 8 * multiprocessors ? 4 : 1;
  const groups = Math.ceil(p.n / outputs);
  return {
    module: `few-rows-${short[p.typeB]}`,
    kernel: `few_rows_${short[p.typeA]}_${short[p.typeB]}_m${rowsOfA}r${outputs}`,
    grid: [Math.ceil((groups * lanes) / 128), Math.ceil(p.m / rowsOfA), p.batch],
    threads: 128,
    sharedBytes: rowsOfA * Math.ceil(p.k / chunk) * chunk * 4,
    lanes,
    prefetch: p.n * p.k * elementBytes(p.typeB) <= prefetchedBytes,
    parts: 1,
    partK: p.k,
    swapped: false,
  };
}

/** Rows of a that a block multiplies by the same rows of b. */
function rowsTogether(p: Product): number {
  return p.m === 1 ? 1 : 4;
}

function elementBytes(type: ElementType): number {
  return type === 'float32' ? 4 : 2;
}

function planHalf(p: Product, multiprocessors: number): OwnPlan {
  const tile = tiles(p, 128) * 2 > multiprocessors && p.m > 64 && p.n > 64 ? 128 : 64;
  const layout = (p.transposeA ? 't' : 'n') + (p.transposeB ? 't' : 'n');
  // Four stages of 32 terms; rows of shared memory have 8 elements more than they need.
  const operand = (along: boolean): number => (along ? tile * 40 : 32 * (tile + 8)) * 2;
  return {
    module: p.typeA === 'bfloat16' ? 'bf16' : 'f16',
    kernel: `${short[p.typeA]}_${tile}x${tile}_${layout}`,
    threads: tile === 128 ? 256 : 128,
    sharedBytes: 4 * (operand(!p.transposeA) + operand(p.transposeB)),
    lanes: 0,
    prefetch: false,
    swapped: false,
    ...split(p, tile, 32, multiprocessors),
  };
}

function tiles(p: Product, tile: number): number {
  return p.batch * Math.ceil(p.m / tile) * Math.ceil(p.n / tile);
}

/** Cuts k where the tiles of the result alone leave multiprocessors idle. */
function split(p: Product, tile: number, depth: number, multiprocessors: number): Pick<OwnPlan, 'grid' | 'parts' | 'partK'> {
  const blocks = tiles(p, tile);
  const room = Math.floor((64 * 2 ** 20) / Math.max(1, p.batch * p.m * p.n * 4));
  const wanted = Math.min(Math.floor((3 * multiprocessors) / blocks), Math.floor(p.k / (8 * depth)), room, 512);
  const partK = wanted > 1 ? Math.ceil(p.k / wanted / depth) * depth : Math.max(p.k, 1);
  const parts = Math.max(1, Math.ceil(p.k / partK));
  return { grid: [blocks, 1, parts], parts, partK };
}

/** Null, or what is too large for one launch. */
export function tooLarge(plan: OwnPlan): string | null {
  return plan.grid[0] > maxBlocks ? `${plan.kernel} would take ${plan.grid[0]} blocks, at most ${maxBlocks} fit a launch` : null;
}
