import type { Access, Kernel, Store } from '../../compile/kernel';
import { analyse, type Analysis, bodyCost } from './analysis';

/**
 * How a kernel's loops run. Four lanes go along the `vector` dimension:
 * - 'map': nothing is reduced; the vector loop is innermost;
 * - 'rows': the vector dimension is reduced: lanes are accumulated and summed at the end of each row;
 * - 'columns': the vector dimension is an output: a block of outputs is accumulated in registers while the reduced
 *   loops run.
 *
 * Work is cut into units (a row of output indices × a block of the vector dimension), which threads share in contiguous
 * runs. No result depends on the cut.
 */
export interface Nest {
  readonly kernel: Kernel;
  readonly analysis: Analysis;
  readonly mode: 'map' | 'rows' | 'columns';
  readonly vector: number;
  /** Output dimensions but `vector`, outermost first. */
  readonly rowDims: readonly number[];
  /**
   * The dimension that some access runs along contiguously while it jumps along `vector` (a transposition), or -1: it
   * varies fastest from unit to unit and blocks are narrow, so that the cache lines that a unit gathers from serve the
   * next units too.
   */
  readonly crossing: number;
  /** Reduced dimensions but `vector`, outermost first. */
  readonly reduceDims: readonly number[];
  /** Vectors per turn of the vector loop. */
  readonly unroll: number;
  /** Elements of the vector dimension in one unit ('map' and 'columns'). */
  readonly block: number;
  readonly units: number;
  /** Dimension `dim` runs over [i chunk, (i + 1) chunk) for the value i of dimension 0: one slice of a reduction. */
  readonly slice: { readonly dim: number; readonly chunk: number } | null;
  /** Work estimate: machine instructions. */
  readonly cost: number;
}

/**
 * One or two nests that make up a kernel: a reduction to few outputs is cut into slices, whose partial results a second
 * nest combines.
 */
export interface KernelPlan {
  readonly nests: readonly Nest[];
  /** Bytes for partial results, 0 for none. */
  readonly partialBytes: number;
}

/** Reductions of at least this many elements to few outputs are sliced … */
const sliceWork = 32768;
/** … into this many units at most: enough for any thread count, and few partials. */
const sliceUnits = 64;
/** Bytes and rows of one slice when columns are reduced: it should stay in the nearest cache. */
const sliceBytes = 49152;
const sliceRows = 16;

/** @param partialsBuffer buffer number that the nests' kernels give to the partial results */
export function planKernel(kernel: Kernel, partialsBuffer: number): KernelPlan {
  const scalar = kernel.domain.length === 0 ? withLeadingDim(kernel, 1) : kernel;
  const nest = planNest(scalar, null);
  const sliced = slices(nest);
  if (sliced === null) return { nests: [nest], partialBytes: 0 };
  const { dim, chunk, count } = sliced;
  const outputs = product(kernel.domain.slice(0, kernel.outerDims));
  // Partials are ordered (reduce, slice, output), outputs with the vector dimension innermost.
  const order = nest.mode === 'columns' ? [...nest.rowDims, nest.vector] : [...nest.rowDims];
  const outputStrides = new Array<number>(scalar.outerDims).fill(0);
  let stride = 1;
  for (const d of order.toReversed()) {
    outputStrides[d] = stride;
    stride *= scalar.domain[d];
  }
  const reducedCount = scalar.domain.length - scalar.outerDims;
  const partial = (reduce: number, strides: readonly number[]): Access => ({
    buffer: partialsBuffer,
    dtype: kernel.reduces[reduce].dtype,
    offset: reduce * count * outputs,
    strides,
    guards: [],
  });
  const lifted = withLeadingDim(scalar, count);
  const first: Kernel = {
    ...lifted,
    epilogue: kernel.reduces.map((r, i) => ({ op: 'reduced', reduce: i, dtype: r.dtype })),
    stores: [
      ...lifted.stores.filter((s) => s.phase === 'body'),
      ...kernel.reduces.map((_, i): Store => ({
        access: partial(i, [outputs, ...outputStrides, ...new Array<number>(reducedCount).fill(0)]),
        value: kernel.body.length + i,
        phase: 'epilogue',
      })),
    ],
  };
  const second = combineKernel(scalar, count, outputs, outputStrides, partial);
  return {
    nests: [planNest(first, { dim: dim + 1, chunk }, nest), planNest(second, null)],
    partialBytes: 4 * kernel.reduces.length * count * outputs,
  };
}

/** The kernel that reduces the partials over their slices and runs the original epilogue. */
function combineKernel(
  kernel: Kernel,
  count: number,
  outputs: number,
  outputStrides: readonly number[],
  partial: (reduce: number, strides: readonly number[]) => Access,
): Kernel {
  const outer = kernel.outerDims;
  const cut = (a: Access): Access => ({
    ...a,
    strides: [...a.strides.slice(0, outer), 0],
    guards: a.guards.map((g) => ({ ...g, strides: [...g.strides.slice(0, outer), 0] })),
  });
  const reduces = kernel.reduces.length;
  // Everything that the epilogue uses of the body comes along in front of it: it varies along no reduced dimension.
  const shift = reduces;
  const renumbered = [...kernel.body, ...kernel.epilogue].map((x) => {
    const moved = 'args' in x ? { ...x, args: x.args.map((v) => v + shift) } : x;
    if (moved.op === 'load') return { ...moved, load: moved.load + reduces };
    return moved.op === 'index' ? { ...moved, strides: [...moved.strides.slice(0, outer), 0] } : moved;
  }) as Kernel['epilogue'];
  return {
    domain: [...kernel.domain.slice(0, outer), count],
    outerDims: outer,
    loads: [...kernel.reduces.map((_, i) => partial(i, [...outputStrides, outputs])), ...kernel.loads.map(cut)],
    body: kernel.reduces.map((r, i) => ({ op: 'load', load: i, dtype: r.dtype })),
    reduces: kernel.reduces.map((r, i) => ({ ...r, value: i })),
    epilogue: renumbered,
    stores: kernel.stores
      .filter((s) => s.phase === 'epilogue')
      .map((s) => ({ ...s, access: cut(s.access), value: s.value + shift })),
  };
}

/** The same kernel with one more output dimension in front, which no access depends on. */
function withLeadingDim(kernel: Kernel, size: number): Kernel {
  const lift = (strides: readonly number[]): number[] => [0, ...strides];
  const access = (a: Access): Access => ({
    ...a,
    strides: lift(a.strides),
    guards: a.guards.map((g) => ({ ...g, strides: lift(g.strides) })),
  });
  const instruction = <T extends Kernel['body'][number]>(x: T): T =>
    x.op === 'index' ? { ...x, strides: lift(x.strides) } : x;
  return {
    ...kernel,
    domain: [size, ...kernel.domain],
    outerDims: kernel.outerDims + 1,
    loads: kernel.loads.map(access),
    body: kernel.body.map(instruction),
    epilogue: kernel.epilogue.map(instruction),
    stores: kernel.stores.map((s) => ({ ...s, access: access(s.access) })),
  };
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}

/** Accesses that run every turn of the loops. */
function bodyAccesses(kernel: Kernel, { needed }: Analysis): readonly Access[] {
  const used = new Set<number>();
  kernel.body.forEach((x, i) => {
    if (needed[i] && x.op === 'load') used.add(x.load);
  });
  return [
    ...kernel.loads.filter((_, i) => used.has(i)),
    ...kernel.stores.filter((s) => s.phase === 'body').map((s) => s.access),
  ];
}

/** Estimated instructions of the innermost loop's body with lanes along `vector`. */
function innerCost(kernel: Kernel, analysis: Analysis, vector: number): number {
  const reduced = ((1 << kernel.domain.length) - 1) & ~((1 << kernel.outerDims) - 1);
  const columns = kernel.reduces.length > 0 && vector < kernel.outerDims;
  return bodyCost(analysis, (1 << vector) | (columns ? reduced : 0));
}

/** Estimated instructions per element with lanes along `vector`: fewer is better. */
function vectorCost(kernel: Kernel, analysis: Analysis, vector: number): number {
  const size = kernel.domain[vector];
  const turns = Math.floor(size / 4) + (size % 4);
  const reduced = vector >= kernel.outerDims;
  let perTurn = 3 + innerCost(kernel, analysis, vector);
  for (const access of bodyAccesses(kernel, analysis)) {
    const stride = Math.abs(access.strides[vector]);
    perTurn += stride <= 1 ? 1 : 7;
  }
  let perRow = 10;
  for (const store of kernel.stores) {
    if (store.phase === 'epilogue') perRow += reduced ? 4 : Math.abs(store.access.strides[vector]) === 1 ? 0 : 4;
  }
  if (reduced) perRow += 12 * kernel.reduces.length + kernel.epilogue.length;
  // Column blocks restart the reduced loops every few vectors.
  else if (kernel.reduces.length > 0) perTurn += 2;
  return (perTurn * turns + perRow) / size;
}

function chooseVector(kernel: Kernel, analysis: Analysis): number {
  let best = kernel.domain.length - 1;
  let bestCost = Infinity;
  for (let d = kernel.domain.length - 1; d >= 0; d--) {
    const cost = vectorCost(kernel, analysis, d);
    if (cost < bestCost * 0.999) {
      best = d;
      bestCost = cost;
    }
  }
  return best;
}

function planNest(kernel: Kernel, slice: Nest['slice'], like?: Nest): Nest {
  const analysis = analyse(kernel);
  const vector = like ? like.vector + 1 : chooseVector(kernel, analysis);
  const all = kernel.domain.map((_, d) => d);
  const rowDims = all.filter((d) => d < kernel.outerDims && d !== vector);
  const reduceDims = all.filter((d) => d >= kernel.outerDims && d !== vector);
  const mode = kernel.reduces.length === 0 ? 'map' : vector >= kernel.outerDims ? 'rows' : 'columns';
  const size = kernel.domain[vector];
  const rows = product(rowDims.map((d) => kernel.domain[d]));
  const turnCost = innerCost(kernel, analysis, vector) + bodyAccesses(kernel, analysis).length;
  let unroll = turnCost <= 8 ? 4 : turnCost <= 16 ? 2 : 1;
  // A turn of a column block is a piece of a row in memory: wide pieces use whole cache lines.
  if (mode === 'columns' && turnCost <= 8) unroll = 8;
  while (unroll > 1 && (unroll * 4 > size || unroll * kernel.reduces.length > 12)) unroll /= 2;
  const step = 4 * unroll;
  const crossing = mode === 'map' ? rowDims.findIndex((d) => crosses(kernel, analysis, vector, d)) : -1;
  let block = size;
  if (mode === 'columns') block = Math.min(size, step);
  else if (crossing >= 0) block = Math.min(size, 16);
  else if (mode === 'map' && rows < sliceUnits) {
    const wanted = Math.ceil(size / Math.ceil(sliceUnits / rows));
    block = Math.min(size, Math.max(256, Math.ceil(wanted / step) * step));
  }
  const blocks = mode === 'rows' ? 1 : Math.ceil(size / block);
  const total = product(kernel.domain) * (slice ? 1 / kernel.domain[0] : 1);
  return {
    kernel,
    analysis,
    mode,
    vector,
    rowDims,
    crossing: crossing < 0 ? -1 : rowDims[crossing],
    reduceDims,
    unroll,
    block,
    units: rows * blocks,
    slice,
    cost: (total / 4) * (turnCost + 2) + rows * blocks * 20,
  };
}

/** Is some access contiguous along `d` but far apart along `vector`? */
function crosses(kernel: Kernel, analysis: Analysis, vector: number, d: number): boolean {
  if (kernel.domain[d] < 8 || kernel.domain[vector] < 8) return false;
  return bodyAccesses(kernel, analysis).some((a) => Math.abs(a.strides[d]) === 1 && Math.abs(a.strides[vector]) >= 16);
}

/** Whether and how a reduction is sliced: by sizes alone, so that results don't depend on the thread count. */
function slices(nest: Nest): { dim: number; chunk: number; count: number } | null {
  const { kernel } = nest;
  const work = product(kernel.domain);
  if (nest.mode === 'map' || work < sliceWork) return null;
  let dim = kernel.outerDims;
  for (let d = dim; d < kernel.domain.length; d++) if (kernel.domain[d] > kernel.domain[dim]) dim = d;
  const size = kernel.domain[dim];
  const step = dim === nest.vector ? 4 * nest.unroll : 1;
  let wanted = Math.min(Math.floor(sliceUnits / nest.units), Math.ceil(work / 8192));
  // All columns of a few rows, before the next rows: a slice stays in the caches and page tables, where a whole column
  // would not.
  if (nest.mode === 'columns' && nest.units > 1) {
    const rows = Math.max(sliceRows, Math.floor(sliceBytes / (4 * kernel.domain[nest.vector])));
    wanted = Math.max(wanted, Math.floor(size / rows));
  }
  if (wanted < 2) return null;
  const chunk = Math.ceil(size / wanted / step) * step;
  const count = Math.ceil(size / chunk);
  return count < 2 ? null : { dim, chunk, count };
}
