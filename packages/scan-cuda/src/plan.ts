// Which kernels run a scan, with how many blocks and how much scratch. Pure arithmetic: needs no device.
import { type ScanShape, ScanShapeError, checkScanShape, scanSize, stateWidth } from '@mamba-ts/scan';
import { type Layout, type ScanDtype, layoutsOf, sharedBytes, tilesPerGroup } from './layout';

export type ScanPass = 'forward' | 'backward' | 'step';

export interface ScanPlanOptions {
  readonly pass: ScanPass;
  /** Storage of u, delta, z, y, variable B and C, and their gradients. Default float32. */
  readonly dtype?: ScanDtype;
  /** dt = log(1 + exp(delta + deltaBias)). Default false. */
  readonly deltaSoftplus?: boolean;
  /**
   * Forward: also leave `checkpoints` for backward. Backward: `checkpoints` come from forward; otherwise backward makes
   * them itself, for the price of another pass. Default false.
   */
  readonly checkpoints?: boolean;
  /** Multiprocessors of the device. Default 132 (H100, H200). */
  readonly multiprocessors?: number;
  /** Overrides of the choice, for measurements. */
  readonly override?: PlanOverride;
}

export interface PlanOverride {
  /** Layout of the kernels that walk over time (forward, and backward's adjoint pass). */
  readonly walk?: string;
  /** Warps that share a channel's time; 0: each has channels of its own, and time is cut into `segments`. */
  readonly slices?: number;
  readonly segments?: number;
  /** Layout of the second half of backward. */
  readonly backward?: string;
}

/** One launch: a kernel, its blocks and threads. */
export interface PlannedKernel {
  readonly module: Layout['module'];
  readonly name: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly threads: number;
  readonly sharedBytes: number;
  /** Argument fields that are this kernel's own. */
  readonly values?: Readonly<Record<string, number>>;
}

/** Arrays of float32 sums that a reduction adds up over rows. */
export interface PlannedSum {
  readonly gradient: 'A' | 'B' | 'C' | 'D' | 'deltaBias';
  readonly from: ScratchArray;
  readonly rows: number;
  readonly columns: number;
  /** The result goes to bf16. */
  readonly bf16: boolean;
}

export type ScratchArray = 'starts' | 'decays' | 'checkpoints' | 'adjoints' | 'partsB' | 'partsC' | 'partsD' | 'partsBias' | 'sums';

/** What was decided for a scan. */
export interface ScanPlan {
  readonly shape: ScanShape;
  readonly pass: ScanPass;
  readonly dtype: ScanDtype;
  readonly deltaSoftplus: boolean;
  /** Steps between checkpoints, and how many there are per sequence. */
  readonly chunk: number;
  readonly chunks: number;
  /** Bytes of the `checkpoints` array that forward leaves and backward takes; 0 where the plan has none. */
  readonly checkpointBytes: number;
  /** Bytes of scratch that a launch needs, aligned to 256. */
  readonly scratchBytes: number;
  /** Where in the scratch each array is. */
  readonly scratch: ReadonlyMap<ScratchArray, number>;
  /** Backward: blocks that share the channels of one group and chunk. */
  readonly parts: number;
  readonly tilesPerPart: number;
  readonly kernels: readonly PlannedKernel[];
  readonly sums: readonly PlannedSum[];
  /** Rows of a first-stage sum; 0: one stage is enough. */
  readonly rowsPerSplit: number;
  /** Says in words what runs and why. */
  readonly explanation: string;
}

const maxBlocks = 2 ** 31 - 1;
/** Shared memory that a block may have on every card of compute capability 8.0 and later. */
const maxSharedBytes = 99 * 1024;
const suffix = (dtype: ScanDtype, layout: Layout): string => `${dtype === 'bf16' ? 'bf16' : 'f32'}_${layout.name}`;

function namedLayout(candidates: readonly Layout[], option: string, name: string): Layout {
  const found = candidates.find((layout) => layout.name === name);
  if (found !== undefined) return found;
  const expected = `one of ${candidates.map((layout) => layout.name).join(', ')}`;
  throw new ScanShapeError('planScan', `options.override.${option}`, expected, `value '${name}'`);
}

/** A pass over time: forward, or backward's adjoint pass. */
interface Walk {
  readonly kernels: readonly PlannedKernel[];
  /** Pieces of the sequence that are walked over at once; 1: no cut. */
  readonly segments: number;
  readonly words: string;
}

interface WalkOptions {
  readonly direction: 'forward' | 'adjoint';
  readonly dtype: ScanDtype;
  readonly chunk: number;
  readonly multiprocessors: number;
  readonly override?: PlanOverride;
}

function planWalk(shape: ScanShape, options: WalkOptions): Walk {
  const { multiprocessors, override = {} } = options;
  const splits = layoutsOf(shape, 'split and backward');
  const wholes = layoutsOf(shape, 'whole');
  if (override.walk !== undefined) {
    const slices = override.slices ?? 0;
    const layout = namedLayout(slices === 0 ? wholes : splits, 'walk', override.walk);
    return slices === 0 ? wholeWalk(shape, layout, override.segments ?? 1, options) : splitWalk(shape, layout, slices, options);
  }
  // What follows was measured on an H200 (results/): warps per multiprocessor decide.
  const warpsOf = (layout: Layout): number => (shape.batch * shape.groups * tilesPerGroup(shape, layout)) / multiprocessors;
  const [narrow, wide] = [splits[0], splits[0].name === 'n16k4' ? (splits[1] ?? splits[0]) : splits[0]];
  const one = wholes.find((layout) => layout.perLane === 1);
  const two = wholes.find((layout) => layout.perLane === 2);
  if (options.direction === 'forward') {
    // Two channels a lane halve what is read from shared memory.
    if (two !== undefined && warpsOf(two) >= 6) return wholeWalk(shape, two, 1, options);
    if (one !== undefined && warpsOf(one) >= 6) return wholeWalk(shape, one, 1, options);
    if (one !== undefined && warpsOf(one) >= 3 && shape.length >= 64) return splitWalk(shape, narrow, 4, options);
    const segments = two === undefined || shape.length < 1024 ? 1 : Math.min(Math.round(24 / warpsOf(two)), Math.floor(shape.length / 128));
    if (two !== undefined && segments > 1) return wholeWalk(shape, two, segments, options);
  } else if (one !== undefined && warpsOf(one) >= 12) {
    return wholeWalk(shape, one, 1, options);
  }
  const split = warpsOf(narrow) >= 3 ? narrow : wide;
  let slices = 1;
  while (slices < 8 && warpsOf(split) * slices < 11 && slices * split.steps < shape.length) {
    if (sharedBytes(split, 'split', 2 * slices) > maxSharedBytes) break;
    slices *= 2;
  }
  return splitWalk(shape, split, slices, options);
}

/** Warps with channels of their own, each walking over one segment. */
function wholeWalk(shape: ScanShape, layout: Layout, wanted: number, { direction, dtype, chunk }: WalkOptions): Walk {
  const segmentSteps = Math.ceil(shape.length / wanted / chunk) * chunk;
  const segments = Math.ceil(shape.length / segmentSteps);
  const tiles = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const values = { segments, segmentSteps };
  const kernel = (name: string, warps: number): PlannedKernel => ({
    ...{ module: layout.module, name: `${name}_${suffix(dtype, layout)}`, grid: [Math.ceil(warps / 4), 1, 1], threads: 128 },
    ...{ sharedBytes: sharedBytes(layout, 'whole', 4), values },
  });
  const main = kernel(direction, tiles * segments);
  const states = shape.batch * shape.channels * shape.dState;
  const combine: PlannedKernel = {
    ...{ module: layout.module, name: `combine_${direction}`, grid: [Math.ceil(states / 128), 1, 1], threads: 128 },
    ...{ sharedBytes: 0, values },
  };
  const ends = kernel(direction === 'forward' ? 'ends' : 'adjoint_ends', tiles * (segments - 1));
  const cut = segments > 1 ? `time in ${segments} segments of ${segmentSteps} steps, their ends first` : 'time uncut';
  return {
    kernels: segments > 1 ? [ends, combine, main] : [main],
    segments,
    words: `${main.name}: ${main.grid[0]} blocks of 4 warps with ${layout.channels} channels each, ${cut}`,
  };
}

/** The warps of a block share channels and take tiles of steps in turn. */
function splitWalk(shape: ScanShape, layout: Layout, slices: number, { direction, dtype }: WalkOptions): Walk {
  const grid = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const name = `${direction}_split_${suffix(dtype, layout)}`;
  const kernel: PlannedKernel = {
    ...{ module: layout.module, name, grid: [grid, 1, 1], threads: 32 * slices },
    ...{ sharedBytes: sharedBytes(layout, 'split', slices), values: { segments: 1, segmentSteps: 0 } },
  };
  const words = `${name}: ${grid} blocks, whose ${slices} warps share ${layout.channels} channels and take tiles of ${layout.steps} steps in turn`;
  return { kernels: [kernel], segments: 1, words };
}

/**
 * Chooses kernels and chunking for a scan. Throws a ScanShapeError where `shape` is not a scan's, or too large for one
 * launch.
 */
export function planScan(shape: ScanShape, options: ScanPlanOptions): ScanPlan {
  checkScanShape(shape, 'planScan');
  const { pass, dtype = 'float32', deltaSoftplus = false, checkpoints = false, multiprocessors = 132 } = options;
  if (pass !== 'forward' && pass !== 'backward' && pass !== 'step') {
    throw new ScanShapeError('planScan', 'options.pass', `'forward', 'backward' or 'step'`, `value ${String(pass)}`);
  }
  if (dtype !== 'float32' && dtype !== 'bf16') {
    throw new ScanShapeError('planScan', 'options.dtype', `'float32' or 'bf16'`, `value ${String(dtype)}`);
  }
  if (shape.length > 2 ** 31 - 2 ** 16) throw new ScanShapeError('planScan', 'shape.length', 'at most 2^31 - 2^16', `value ${shape.length}`);
  const width = stateWidth(shape);
  const backwardLayouts = layoutsOf(shape, 'backward');
  const layout = options.override?.backward === undefined ? backwardLayouts[0] : namedLayout(backwardLayouts, 'backward', options.override.backward);
  const chunk = layout.slices * layout.steps;
  const chunks = Math.ceil(shape.length / chunk);
  const boundaries = shape.batch * chunks * shape.channels;
  const common = { shape, pass, dtype, deltaSoftplus, chunk, chunks };
  const scratch = new Map<ScratchArray, number>();
  let scratchBytes = 0;
  const take = (name: ScratchArray, bytes: number): void => {
    scratch.set(name, scratchBytes);
    scratchBytes += Math.ceil(bytes / 256) * 256;
  };
  const nothing = { parts: 1, tilesPerPart: 1, sums: [], rowsPerSplit: 0 };

  if (pass === 'step') {
    if (shape.length !== 1) throw new ScanShapeError('planScan', 'shape.length', '1 (one step)', `value ${shape.length}`);
    const grid = Math.ceil((shape.batch * shape.channels * 4) / 128);
    const name = `step_${dtype === 'bf16' ? 'bf16' : 'f32'}_${shape.complex ? 'complex' : 'real'}`;
    const kernels: PlannedKernel[] = [{ module: 'general', name, grid: [grid, 1, 1], threads: 128, sharedBytes: 0 }];
    const explanation = `${name}: ${grid} blocks, 4 lanes a channel`;
    return checkGrids({ ...common, ...nothing, scratchBytes, scratch, checkpointBytes: 0, kernels, explanation });
  }

  const walkOptions = { dtype, chunk, multiprocessors };
  const override = options.override;
  const forward = planWalk(shape, { ...walkOptions, direction: 'forward', ...(pass === 'forward' && { override }) });
  const stateBytes = boundaries * shape.dState * width * 4;
  const takeSegments = (...walks: Walk[]): void => {
    const segments = Math.max(...walks.map((walk) => walk.segments));
    if (segments < 2) return;
    const bytes = shape.batch * segments * shape.channels * shape.dState * 4;
    take('starts', bytes);
    take('decays', bytes);
  };
  const words =
    `${layout.lanes} lanes a channel with ${layout.statesPerLane} states each` +
    (layout.masked ? `, masked (dState ${shape.dState}, any alignment)` : '');
  if (pass === 'forward') {
    takeSegments(forward);
    const { kernels, words: explanation } = forward;
    const sizes = { scratchBytes, scratch, checkpointBytes: checkpoints ? stateBytes : 0 };
    return checkGrids({ ...common, ...nothing, ...sizes, kernels, explanation });
  }

  const adjoint = planWalk(shape, { ...walkOptions, direction: 'adjoint', override });
  const tiles = tilesPerGroup(shape, layout);
  // Parts: enough blocks for every multiprocessor to have several, each with at least four tiles of channels.
  const whole = shape.batch * chunks * shape.groups;
  const wanted = Math.min(Math.ceil((9 * multiprocessors) / whole), Math.ceil(tiles / 4));
  const tilesPerPart = Math.ceil(tiles / Math.max(1, wanted));
  const parts = Math.ceil(tiles / tilesPerPart);
  const main: PlannedKernel = {
    module: layout.module,
    name: `backward_${suffix(dtype, layout)}`,
    grid: [whole * parts, 1, 1],
    threads: 32 * layout.slices,
    sharedBytes: sharedBytes(layout, 'backward', layout.slices),
  };

  const rows = shape.batch * chunks;
  const columns = shape.channels * shape.dState * width;
  const splits = rows <= 32 ? 1 : Math.min(64, Math.ceil(rows / 32));
  const rowsPerSplit = splits === 1 ? 0 : Math.ceil(rows / splits);
  const sums: PlannedSum[] = [
    { gradient: 'A', from: 'adjoints', rows, columns, bf16: false },
    { gradient: 'D', from: 'partsD', rows, columns: shape.channels, bf16: false },
    { gradient: 'deltaBias', from: 'partsBias', rows, columns: shape.channels, bf16: false },
  ];
  takeSegments(adjoint, ...(checkpoints ? [] : [forward]));
  if (!checkpoints) take('checkpoints', stateBytes);
  take('adjoints', stateBytes);
  take('partsD', boundaries * 4);
  take('partsBias', boundaries * 4);
  for (const [gradient, from, variable] of [['B', 'partsB', shape.variableB], ['C', 'partsC', shape.variableC]] as const) {
    if (variable && parts === 1) continue;
    const size = scanSize(shape, gradient);
    take(from, (variable ? parts * size : boundaries * shape.dState * width) * 4);
    sums.push({ gradient, from, rows: variable ? parts : rows, columns: variable ? size : columns, bf16: variable && dtype === 'bf16' });
  }
  if (rowsPerSplit > 0) take('sums', splits * (3 * columns + 2 * shape.channels) * 4);
  const kernels = [...(checkpoints ? [] : forward.kernels), ...adjoint.kernels, main];
  const explanation =
    `checkpoints ${checkpoints ? 'from forward' : `by ${forward.words}`}; ${adjoint.words}; ${main.name}: ${whole} blocks for chunks of ` +
    `${chunk} steps${parts > 1 ? `, times ${parts} parts of the channels` : ''}, ${words}; ` +
    `sums over ${rows} chunks in ${rowsPerSplit > 0 ? 'two stages' : 'one stage'}`;
  const sizes = { checkpointBytes: checkpoints ? stateBytes : 0, scratchBytes, scratch };
  return checkGrids({ ...common, ...sizes, parts, tilesPerPart, kernels, sums, rowsPerSplit, explanation });
}

function checkGrids(plan: ScanPlan): ScanPlan {
  const large = plan.kernels.find(({ grid }) => grid[0] > maxBlocks);
  if (large === undefined) return plan;
  throw new ScanShapeError('planScan', 'shape', 'at most 2^31 - 1 blocks', `${large.grid[0]} blocks of ${large.name}`);
}
