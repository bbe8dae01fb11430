// Which kernels run a scan, with how many blocks and how much scratch. Pure arithmetic: needs no device.
import { type ScanShape, ScanShapeError, checkScanShape, scanSize, stateWidth } from '@mamba-ts/scan';
import { type Layout, type ScanDtype, backwardSlices, layoutsOf, sharedBytes, tilesPerGroup } from './layout';

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
  /**
   * Overrides the choice, for measurements: a layout's name, and the warps that share a channel's time in forward (0:
   * each has channels of its own) or in backward's adjoint pass.
   */
  readonly layout?: string;
  readonly slices?: number;
}

/** One launch: a kernel, its blocks and threads. */
export interface PlannedKernel {
  readonly module: Layout['module'];
  readonly name: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly threads: number;
  readonly sharedBytes: number;
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

export type ScratchArray = 'checkpoints' | 'adjoints' | 'partsB' | 'partsC' | 'partsD' | 'partsBias' | 'sums';

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
const suffix = (dtype: ScanDtype, layout: Layout): string => `${dtype === 'bf16' ? 'bf16' : 'f32'}_${layout.name}`;

function chooseLayout(shape: ScanShape, name: string | undefined, multiprocessors: number, pass: ScanPass): Layout {
  const candidates = layoutsOf(shape);
  if (name !== undefined) {
    const found = candidates.find((layout) => layout.name === name);
    if (found !== undefined) return found;
    const expected = `one of ${candidates.map((layout) => layout.name).join(', ')}`;
    throw new ScanShapeError('planScan', 'options.layout', expected, `value '${name}'`);
  }
  // Few channels: spread each over more lanes, so that more warps have something to do.
  const [first, second] = candidates;
  const blocks = shape.batch * shape.groups * tilesPerGroup(shape, first);
  if (pass === 'forward' && first.name === 'n16k4' && second?.name === 'n16k8' && blocks < 2 * multiprocessors) return second;
  return first;
}

/** Warps that share a channel's time: enough to fill the card, no more than there are tiles of steps. */
function chooseSlices(shape: ScanShape, layout: Layout, multiprocessors: number): number {
  const warps = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  if (layout.whole && warps >= 12 * multiprocessors) return 0;
  let slices = 1;
  while (slices < 16 && warps * slices < 16 * multiprocessors && slices * layout.steps < shape.length) slices *= 2;
  return slices;
}

function forwardKernel(shape: ScanShape, dtype: ScanDtype, layout: Layout, slices: number): PlannedKernel {
  const tiles = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const whole = slices === 0;
  const warps = whole ? 4 : slices;
  return {
    module: layout.module,
    name: `${whole ? 'forward' : 'forward_split'}_${suffix(dtype, layout)}`,
    grid: [whole ? Math.ceil(tiles / 4) : tiles, 1, 1],
    threads: 32 * warps,
    sharedBytes: sharedBytes(layout, whole ? 'whole' : 'split', warps),
  };
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
  const backwardLayout = chooseLayout(shape, pass === 'backward' ? options.layout : undefined, multiprocessors, 'backward');
  const chunk = backwardSlices * backwardLayout.steps;
  const chunks = Math.ceil(shape.length / chunk);
  const boundaries = shape.batch * chunks * shape.channels;
  const common = { shape, pass, dtype, deltaSoftplus, chunk, chunks };
  const nothing = { scratchBytes: 0, scratch: new Map<ScratchArray, number>(), parts: 1, tilesPerPart: 1, sums: [], rowsPerSplit: 0 };

  if (pass === 'step') {
    if (shape.length !== 1) throw new ScanShapeError('planScan', 'shape.length', '1 (one step)', `value ${shape.length}`);
    const grid = Math.ceil((shape.batch * shape.channels * 4) / 128);
    const name = `step_${dtype === 'bf16' ? 'bf16' : 'f32'}_${shape.complex ? 'complex' : 'real'}`;
    const kernels: PlannedKernel[] = [{ module: 'general', name, grid: [grid, 1, 1], threads: 128, sharedBytes: 0 }];
    return checkGrids({ ...common, ...nothing, checkpointBytes: 0, kernels, explanation: `${name}: ${grid} blocks, 4 lanes a channel` });
  }

  const forwardLayout = chooseLayout(shape, pass === 'forward' ? options.layout : undefined, multiprocessors, 'forward');
  const slices = (pass === 'forward' ? options.slices : undefined) ?? chooseSlices(shape, forwardLayout, multiprocessors);
  const forward = forwardKernel(shape, dtype, forwardLayout, slices);
  const stateBytes = boundaries * shape.dState * width * 4;
  const words = (layout: Layout): string =>
    `${layout.lanes} lanes a channel with ${layout.statesPerLane} states each` +
    (layout.masked ? `, masked (dState ${shape.dState}, any alignment)` : '');
  if (pass === 'forward') {
    const how =
      slices === 0
        ? `a warp walks over all ${shape.length} steps of ${forwardLayout.channels} channels`
        : `${slices} warps share ${forwardLayout.channels} channels and take tiles of ${forwardLayout.steps} steps in turn`;
    const explanation = `${forward.name}: ${forward.grid[0]} blocks of ${forward.threads} threads; ${words(forwardLayout)}; ${how}`;
    return checkGrids({ ...common, ...nothing, checkpointBytes: checkpoints ? stateBytes : 0, kernels: [forward], explanation });
  }

  const layout = backwardLayout;
  const tiles = tilesPerGroup(shape, layout);
  const adjointSlices = options.slices ?? chooseSlices(shape, { ...layout, whole: false }, multiprocessors);
  const adjoint: PlannedKernel = {
    module: layout.module,
    name: `adjoint_${suffix(dtype, layout)}`,
    grid: [shape.batch * shape.groups * tiles, 1, 1],
    threads: 32 * adjointSlices,
    sharedBytes: sharedBytes(layout, 'split', adjointSlices),
  };
  // Parts: enough blocks for every multiprocessor to have several, each with at least four tiles of channels.
  const whole = shape.batch * chunks * shape.groups;
  const wanted = Math.min(Math.ceil((9 * multiprocessors) / whole), Math.ceil(tiles / 4));
  const tilesPerPart = Math.ceil(tiles / Math.max(1, wanted));
  const parts = Math.ceil(tiles / tilesPerPart);
  const main: PlannedKernel = {
    module: layout.module,
    name: `backward_${suffix(dtype, layout)}`,
    grid: [whole * parts, 1, 1],
    threads: 32 * backwardSlices,
    sharedBytes: sharedBytes(layout, 'backward', backwardSlices),
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
  const scratch = new Map<ScratchArray, number>();
  let scratchBytes = 0;
  const take = (name: ScratchArray, bytes: number): void => {
    scratch.set(name, scratchBytes);
    scratchBytes += Math.ceil(bytes / 256) * 256;
  };
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
  const kernels = [...(checkpoints ? [] : [forward]), adjoint, main];
  const explanation =
    `${checkpoints ? 'checkpoints from forward' : `checkpoints by ${forward.name}`}; ${adjoint.name}: ${adjointSlices} warps share ` +
    `${layout.channels} channels; ${main.name}: ${whole} blocks for chunks of ${chunk} steps` +
    `${parts > 1 ? `, times ${parts} parts of the channels` : ''}; ${words(layout)}; ` +
    `sums over ${rows} chunks in ${rowsPerSplit > 0 ? 'two stages' : 'one stage'}`;
  const sizes = { checkpointBytes: checkpoints ? stateBytes : 0, scratchBytes, scratch };
  return checkGrids({ ...common, ...sizes, parts, tilesPerPart, kernels, sums, rowsPerSplit, explanation });
}

function checkGrids(plan: ScanPlan): ScanPlan {
  const large = plan.kernels.find(({ grid }) => grid[0] > maxBlocks);
  if (large === undefined) return plan;
  throw new ScanShapeError('planScan', 'shape', 'at most 2^31 - 1 blocks', `${large.grid[0]} blocks of ${large.name}`);
}
