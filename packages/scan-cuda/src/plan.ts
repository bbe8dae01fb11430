// Which kernels run a scan, with how many blocks and how much scratch. Pure arithmetic: needs no device.
import { type ScanShape, ScanShapeError, checkScanShape, stateWidth } from '@mamba-ts/scan';
import type { Layout, ScanDtype } from './layout';
import { planBackward } from './plan-backward';
import { type Walk, planWalk } from './plan-walk';

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
  /**
   * Checkpoints every 32 steps instead of every 8 or 16, in forward and backward alike: a quarter of the memory between
   * them, for half the speed of backward. Default false.
   */
  readonly leastMemory?: boolean;
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
  /** Layout of backward's main kernel. */
  readonly backward?: string;
  /** Where that is a chain: warps of a block, sets of channels that it takes, pieces of the sequence. */
  readonly chain?: { readonly warps: number; readonly sets: number; readonly segments?: number };
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

/**
 * Chooses kernels and chunking for a scan. Throws a ScanShapeError where `shape` is not a scan's, or too large for one
 * launch.
 */
export function planScan(shape: ScanShape, options: ScanPlanOptions): ScanPlan {
  checkScanShape(shape, 'planScan');
  const { pass, dtype = 'float32', deltaSoftplus = false, checkpoints = false, multiprocessors = 132, leastMemory } = options;
  if (pass !== 'forward' && pass !== 'backward' && pass !== 'step') {
    throw new ScanShapeError('planScan', 'options.pass', `'forward', 'backward' or 'step'`, `value ${String(pass)}`);
  }
  if (dtype !== 'float32' && dtype !== 'bf16') {
    throw new ScanShapeError('planScan', 'options.dtype', `'float32' or 'bf16'`, `value ${String(dtype)}`);
  }
  if (shape.length > 2 ** 31 - 2 ** 16) throw new ScanShapeError('planScan', 'shape.length', 'at most 2^31 - 2^16', `value ${shape.length}`);
  const width = stateWidth(shape);
  const main = planBackward({ shape, dtype, multiprocessors }, { leastMemory, override: options.override });
  const { chunk, parts, tilesPerPart } = main;
  const chunks = Math.ceil(shape.length / chunk);
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

  const walkOptions = { dtype, chunk, multiprocessors, leavesCheckpoints: checkpoints || pass === 'backward' };
  const override = options.override;
  const forward = planWalk(shape, { ...walkOptions, direction: 'forward', ...(pass === 'forward' && { override }) });
  const stateBytes = shape.batch * chunks * shape.channels * shape.dState * width * 4;
  const takeSegments = (...walks: Pick<Walk, 'segments'>[]): void => {
    const segments = Math.max(1, ...walks.map((walk) => walk.segments));
    if (segments < 2) return;
    const bytes = shape.batch * segments * shape.channels * shape.dState * 4;
    take('starts', bytes);
    take('decays', bytes);
  };
  if (pass === 'forward') {
    takeSegments(forward);
    const { kernels, words: explanation } = forward;
    const sizes = { scratchBytes, scratch, checkpointBytes: checkpoints ? stateBytes : 0 };
    return checkGrids({ ...common, ...nothing, ...sizes, kernels, explanation });
  }

  const adjoint = main.needsAdjoints ? [planWalk(shape, { ...walkOptions, direction: 'adjoint', override })] : [];
  const rows = Math.max(...main.sums.filter(({ gradient }) => gradient === 'A').map((sum) => sum.rows));
  const splits = rows <= 32 ? 1 : Math.min(64, Math.ceil(rows / 32));
  const rowsPerSplit = splits === 1 ? 0 : Math.ceil(rows / splits);
  takeSegments(main, ...adjoint, ...(checkpoints ? [] : [forward]));
  if (!checkpoints) take('checkpoints', stateBytes);
  for (const [name, bytes] of main.arrays) take(name, bytes);
  if (rowsPerSplit > 0) take('sums', splits * (3 * shape.channels * shape.dState * width + 2 * shape.channels) * 4);
  const kernels = [...(checkpoints ? [] : forward.kernels), ...adjoint.flatMap((walk) => walk.kernels), ...main.kernels];
  const explanation =
    `checkpoints ${checkpoints ? 'from forward' : `by ${forward.words}`}; ${[...adjoint, main].map(({ words }) => words).join('; ')}; ` +
    `sums over ${rows} rows in ${rowsPerSplit > 0 ? 'two stages' : 'one stage'}`;
  const sizes = { checkpointBytes: checkpoints ? stateBytes : 0, scratchBytes, scratch };
  return checkGrids({ ...common, ...sizes, parts, tilesPerPart, kernels, sums: main.sums, rowsPerSplit, explanation });
}

function checkGrids(plan: ScanPlan): ScanPlan {
  const large = plan.kernels.find(({ grid }) => grid[0] > maxBlocks);
  if (large === undefined) return plan;
  throw new ScanShapeError('planScan', 'shape', 'at most 2^31 - 1 blocks', `${large.grid[0]} blocks of ${large.name}`);
}
