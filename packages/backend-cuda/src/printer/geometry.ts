import { type Access, byteSize, type Kernel, sizeOf, touchedBytes } from '@mamba-ts/tensor';
import { vectorizes } from './addressing';

/** What the choice of a geometry depends on. */
export interface Machine {
  readonly multiprocessors: number;
}

/** Points of an elementwise kernel: `vector` neighbours along the last loop per thread, and all along the loop `column` where there is one. */
export interface ElementwiseGeometry {
  readonly kind: 'elementwise';
  readonly vector: number;
  readonly threads: number;
  readonly blocks: number;
}

/**
 * A reduction: `lanes` threads share an output and `splits` blocks share it again, each taking a part of the reduced points. In 'rows' the lanes
 * of an output are neighbours, so that they walk along the reduced loops together, `vector` points each at a time; in 'columns' neighbours have
 * neighbouring outputs, `vector` each.
 */
export interface ReductionGeometry {
  readonly kind: 'rows' | 'columns';
  readonly vector: number;
  readonly lanes: number;
  /** 'rows': groups of lanes per block. 'columns': threads along the outputs. */
  readonly across: number;
  /** 'rows': neighbouring outputs of a group of lanes, which share what is the same for all of them. */
  readonly together: number;
  readonly splits: number;
  /** Turns of the reduction loop that are written out together. */
  readonly unroll: number;
  /** Blocks along the outputs. */
  readonly blocks: number;
}

export type Geometry = ElementwiseGeometry | ReductionGeometry;

/** Shared by all split reductions of a device: words for their partial results, and one counter for each block along the outputs. */
export const splitScratch: { readonly words: number; readonly counters: number } = { words: 1_048_576, counters: 4096 };

export function chooseGeometry(kernel: Kernel, machine: Machine): Geometry {
  return kernel.reduces.length === 0 ? elementwise(kernel, machine) : reduction(kernel, machine);
}

/** Widest vector along `loop` that pays: as many elements as 16 bytes hold of the narrowest access that can use it. */
function vectorAlong(kernel: Kernel, accesses: readonly Access[], loop: number, points: number, enough: number): number {
  if (loop < 0) return 1;
  for (const count of [8, 4, 2]) {
    if (kernel.domain[loop] % count !== 0 || points / count < enough) continue;
    const users = accesses.filter((a) => vectorizes(a, loop, count, kernel.domain));
    if (users.length === 0) continue;
    // 8 only for 2-byte elements: 8 floats are two accesses anyway.
    if (count === 8 && !users.some((a) => byteSize(a.dtype) === 2)) continue;
    return count;
  }
  return 1;
}

function elementwise(kernel: Kernel, { multiprocessors }: Machine): ElementwiseGeometry {
  const { column = -1, domain } = kernel;
  const points = sizeOf(domain) / (column < 0 ? 1 : domain[column]);
  const accesses = [...kernel.loads, ...kernel.stores.map((s) => s.access)];
  // Few points: all the threads there can be, rather than wide accesses.
  const last = domain.length - 1;
  const vector = vectorAlong(kernel, accesses, last === column ? -1 : last, points, multiprocessors * 256);
  const tiles = points / vector;
  const threads = tiles >= multiprocessors * 256 ? 256 : tiles >= multiprocessors * 64 ? 128 : 64;
  return { kind: 'elementwise', vector, threads, blocks: Math.ceil(tiles / threads) };
}

const powerBelow = (x: number): number => (x < 1 ? 1 : 2 ** Math.floor(Math.log2(x)));
const powerAbove = (x: number): number => (x <= 1 ? 1 : 2 ** Math.ceil(Math.log2(x)));

function reduction(kernel: Kernel, { multiprocessors }: Machine): ReductionGeometry {
  const { domain, outerDims, reduces } = kernel;
  const outputs = sizeOf(domain.slice(0, outerDims));
  const length = sizeOf(domain.slice(outerDims));
  const accesses = [...kernel.loads, ...kernel.stores.filter((s) => s.phase === 'body').map((s) => s.access)];
  const [lastOuter, lastInner] = [outerDims - 1, domain.length - 1];
  let [alongRows, alongColumns] = [0, 0];
  for (const access of accesses) {
    if (Math.abs(access.strides[lastInner]) === 1) alongRows += touchedBytes(access, domain);
    if (lastOuter >= 0 && Math.abs(access.strides[lastOuter]) === 1) alongColumns += touchedBytes(access, domain);
  }
  const size = kernel.body.length;
  const wanted = multiprocessors * 1024;
  const columns = outputs >= 8 && (alongColumns > alongRows || (alongColumns === alongRows && (length < 32 || outputs >= wanted)));
  if (columns) {
    const vector = reduces.length * outputs <= 2 ** 16 && length < 64 ? 1 : vectorAlong(kernel, accesses, lastOuter, outputs, 64);
    const tiles = outputs / vector;
    const across = Math.min(32, powerAbove(tiles));
    // Shared memory holds lanes · across · vector numbers for each reduction.
    const most = Math.min(512 / across, 8192 / (across * vector * reduces.length));
    let lanes = 1;
    while (lanes * 2 <= most && lanes * 2 <= length && (tiles * lanes < wanted || lanes * across < 64)) lanes *= 2;
    const blocks = Math.ceil(tiles / across);
    const splits = splitsFor(Math.ceil(length / lanes), blocks, lanes * across, outputs * reduces.length, multiprocessors);
    return { kind: 'columns', vector, lanes, across, together: 1, splits, unroll: unrollFor(size * vector), blocks };
  }
  const vector = vectorAlong(kernel, accesses, lastInner, length, 1);
  const work = length / vector;
  const lanesFor = (groups: number): number => {
    let lanes = Math.min(32, powerBelow(work));
    // Short rows: no more lanes than it takes to fill the device.
    if (work <= 8) while (lanes > 1 && groups * lanes > 4 * wanted) lanes /= 2;
    while (lanes >= 32 && lanes < 1024 && work / (lanes * 2) >= 2 && (groups * lanes < wanted || work / lanes > 32)) lanes *= 2;
    return lanes;
  };
  const enough = (count: number): boolean => lanesFor(outputs / count) * (outputs / count) >= multiprocessors * 256;
  const together = rowsTogether(kernel, enough);
  const groups = outputs / together;
  const lanes = lanesFor(groups);
  const across = Math.max(1, 128 / lanes);
  const blocks = Math.ceil(groups / across);
  const splits = together > 1 ? 1 : splitsFor(Math.ceil(work / lanes), blocks, lanes * across, outputs * reduces.length, multiprocessors);
  // Loads of several rows count as turns, too: more of them cost registers, and with these blocks a multiprocessor.
  const unroll = unrollFor(size * vector * together);
  return { kind: 'rows', vector, lanes, across, together, splits, unroll, blocks };
}

/**
 * Outputs that share the loads that are the same for all of them, a vector that every row of a matrix is multiplied by: else these keep the nearest
 * cache busier than the matrix does. As many as leave `enough` to do for the whole device.
 */
function rowsTogether(kernel: Kernel, enough: (count: number) => boolean): number {
  const { domain, outerDims, loads, body } = kernel;
  const last = outerDims - 1;
  const inLoop = loads.filter((l, i) => body.some((x) => x.op === 'load' && x.load === i) && l.strides.some((s, d) => d >= outerDims && s !== 0));
  const shared = inLoop.filter((l) => l.guards.length === 0 && l.strides.every((s, d) => d >= outerDims || s === 0));
  const stores = kernel.stores.every((s) => s.phase === 'epilogue');
  if (last < 0 || shared.length === 0 || inLoop.length - shared.length !== 1 || !stores) return 1;
  return [4, 2].find((count) => domain[last] % count === 0 && enough(count)) ?? 1;
}

/** Turns written out together: enough loads in flight, not too much code. */
function unrollFor(instructions: number): number {
  return Math.max(1, Math.min(4, powerBelow(320 / Math.max(1, instructions))));
}

/** Blocks that share outputs where too few would be busy: each with at least 8 turns of the loop, within the shared scratch. */
function splitsFor(turns: number, blocks: number, threads: number, words: number, multiprocessors: number): number {
  if (blocks > splitScratch.counters || turns < 32) return 1;
  const room = Math.floor((multiprocessors * Math.max(1, Math.floor(1024 / threads))) / blocks);
  return Math.max(1, Math.min(Math.floor(turns / 8), room, Math.floor(splitScratch.words / words)));
}

/** One line for `explain`. */
export function describeGeometry(g: Geometry): string {
  if (g.kind === 'elementwise') return `${g.blocks}x${g.threads}, ${g.vector} wide`;
  const split = g.splits > 1 ? `, ${g.splits} splits` : '';
  const together = g.together > 1 ? `, ${g.together} rows together` : '';
  return `${g.blocks}x${g.lanes * g.across} ${g.kind}, ${g.lanes} lanes, ${g.vector} wide${together}${split}`;
}
