// Passes over time: forward, and the adjoint pass of a backward that is parallel over chunks.
import type { ScanShape } from '@mamba-ts/scan';
import { type Layout, type ScanDtype, forwardChainBytes, kernelName, layoutsOf, maxSharedBytes, namedLayout, sharedBytes, tilesPerGroup } from './layout';
import type { PlanOverride, PlannedKernel } from './plan';

/** A pass over time: forward, or backward's adjoint pass. */
export interface Walk {
  readonly kernels: readonly PlannedKernel[];
  /** Pieces of the sequence that are walked over at once; 1: no cut. */
  readonly segments: number;
  readonly words: string;
}

export interface WalkOptions {
  readonly direction: 'forward' | 'adjoint';
  readonly dtype: ScanDtype;
  readonly chunk: number;
  /** Forward leaves checkpoints at the starts of its tiles: these must not be longer than a chunk. */
  readonly leavesCheckpoints: boolean;
  readonly multiprocessors: number;
  readonly override?: PlanOverride;
}

export function planWalk(shape: ScanShape, options: WalkOptions): Walk {
  const { multiprocessors, override = {} } = options;
  const longest = options.leavesCheckpoints ? options.chunk : Infinity;
  const fitting = (kernels: Layout['kernels']): readonly Layout[] => layoutsOf(shape, kernels).filter(({ steps }) => steps <= longest);
  const splits = fitting('split and backward');
  const wholes = fitting('whole');
  const chain = fitting('forward chain').find((layout) => layout.name === override.walk);
  if (chain !== undefined && options.direction === 'forward') return chainWalk(shape, chain, override.slices ?? 4, options);
  if (chain === undefined && override.walk !== undefined) {
    const slices = override.slices ?? 0;
    const layout = namedLayout(slices === 0 ? wholes : splits, 'walk', override.walk);
    return slices === 0 ? wholeWalk(shape, layout, override.segments ?? 1, options) : splitWalk(shape, layout, slices, options);
  }
  // What follows was measured on an H200 (results/): warps per multiprocessor decide.
  const warpsOf = (layout: Layout): number => (shape.batch * shape.groups * tilesPerGroup(shape, layout)) / multiprocessors;
  const narrow = splits[0];
  const wide = splits.find((layout) => layout.name === 'n16k8') ?? narrow;
  const one = wholes.find((layout) => layout.perLane === 1);
  const two = wholes.find((layout) => layout.perLane === 2);
  if (options.direction === 'forward') {
    // Two channels a lane halve what is read from shared memory.
    if (two !== undefined && warpsOf(two) >= 6) return wholeWalk(shape, two, 1, options);
    const best = shape.length < 64 ? undefined : bestChain(shape, fitting('forward chain'), multiprocessors);
    if (best !== undefined) return chainWalk(shape, best.layout, best.warps, options);
    if (one !== undefined && warpsOf(one) >= 6) return wholeWalk(shape, one, 1, options);
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

/**
 * Forward chains: warps that fill a multiprocessor, and time per step and channel on one, in units of the best; measured on
 * an H200 (results/). Tiles of 16 steps are for plans without checkpoints, which are closer together.
 */
const chains: Readonly<Record<string, { readonly warps: number; readonly cost: number }>> = {
  n16k4r2t8c: { warps: 8, cost: 1 },
  n16k4r1t16c: { warps: 8, cost: 1.05 },
  n16k4r1t8a: { warps: 16, cost: 1.06 },
  n16k8r3t8c: { warps: 8, cost: 1.25 },
};

/** The chain that takes least time, where its blocks keep at least two thirds of the device busy. */
function bestChain(shape: ScanShape, layouts: readonly Layout[], multiprocessors: number): { layout: Layout; warps: number } | undefined {
  let best: { layout: Layout; warps: number } | undefined;
  let least = Infinity;
  for (const layout of layouts) {
    const blocks = shape.batch * shape.groups * tilesPerGroup(shape, layout);
    if (blocks < multiprocessors / 1.5) continue;
    const { warps, cost } = chains[layout.name];
    const each = Math.ceil(blocks / multiprocessors); // blocks of a multiprocessor
    const time = each * layout.channels * cost;
    if (time >= least) continue;
    least = time;
    best = { layout, warps: Math.max(2, Math.floor(warps / each)) }; // they share its warps
  }
  return best;
}

/** What comes back into every segment but the last: in `starts`, for a backward whose blocks take one segment each. */
export function adjointEnds(shape: ScanShape, segments: number, segmentSteps: number, dtype: ScanDtype, multiprocessors: number): readonly PlannedKernel[] {
  const [one, two] = [1, 2].map((perLane) => layoutsOf(shape, 'whole').find((layout) => layout.perLane === perLane));
  const warpsOf = (layout: Layout): number => shape.batch * shape.groups * tilesPerGroup(shape, layout) * (segments - 1);
  const layout = two !== undefined && warpsOf(two) >= 8 * multiprocessors ? two : one!;
  const values = { segments, segmentSteps };
  return segmentKernels(shape, layout, 'adjoint', values, dtype, multiprocessors).slice(0, 2);
}

/** Warps with channels of their own, each walking over one segment. */
function wholeWalk(shape: ScanShape, layout: Layout, wanted: number, { direction, dtype, chunk, multiprocessors }: WalkOptions): Walk {
  const segmentSteps = Math.ceil(shape.length / wanted / chunk) * chunk;
  const segments = Math.ceil(shape.length / segmentSteps);
  const [ends, combine, main] = segmentKernels(shape, layout, direction, { segments, segmentSteps }, dtype, multiprocessors);
  const cut = segments > 1 ? `time in ${segments} segments of ${segmentSteps} steps, their ends first` : 'time uncut';
  return {
    kernels: segments > 1 ? [ends, combine, main] : [main],
    segments,
    words: `${main.name}: ${main.grid[0]} blocks of ${main.threads / 32} warps with ${layout.channels} channels each, ${cut}`,
  };
}

/** Ends of the segments if each starts from zero; what is before each, from these; the segments themselves. */
function segmentKernels(
  shape: ScanShape,
  layout: Layout,
  direction: WalkOptions['direction'],
  values: { readonly segments: number; readonly segmentSteps: number },
  dtype: ScanDtype,
  multiprocessors: number,
): readonly [PlannedKernel, PlannedKernel, PlannedKernel] {
  const tiles = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const kernel = (kind: string, warps: number): PlannedKernel => {
    // Where a multiprocessor is to have two blocks of 4 warps and has room for three, some get three and others one:
    // cards differ in how many multiprocessors their clusters have. One block of 8 cannot be dealt out unevenly.
    const perBlock = direction === 'forward' && warps > 4 * multiprocessors && warps <= 8 * multiprocessors ? 8 : 4;
    return {
      ...{ module: layout.module, name: kernelName(kind, dtype, layout), grid: [Math.ceil(warps / perBlock), 1, 1], threads: 32 * perBlock },
      ...{ sharedBytes: sharedBytes(layout, 'whole', perBlock), values },
    };
  };
  const states = shape.batch * shape.channels * shape.dState;
  const combine: PlannedKernel = {
    ...{ module: layout.module, name: `combine_${direction}`, grid: [Math.ceil(states / 128), 1, 1], threads: 128 },
    ...{ sharedBytes: 0, values },
  };
  const ends = kernel(direction === 'forward' ? 'ends' : 'adjoint_ends', tiles * (values.segments - 1));
  return [ends, combine, kernel(direction, tiles * values.segments)];
}

/** The warps of a block share channels and take tiles of steps in turn. */
function splitWalk(shape: ScanShape, layout: Layout, slices: number, { direction, dtype }: WalkOptions): Walk {
  const grid = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const name = kernelName(`${direction}_split`, dtype, layout);
  const kernel: PlannedKernel = {
    ...{ module: layout.module, name, grid: [grid, 1, 1], threads: 32 * slices },
    ...{ sharedBytes: sharedBytes(layout, 'split', slices), values: { segments: 1, segmentSteps: 0 } },
  };
  const words = `${name}: ${grid} blocks, whose ${slices} warps share ${layout.channels} channels and take tiles of ${layout.steps} steps in turn`;
  return { kernels: [kernel], segments: 1, words };
}

/** As a split walk, but the warps hand states on instead of meeting at barriers. */
function chainWalk(shape: ScanShape, layout: Layout, warps: number, { dtype }: WalkOptions): Walk {
  const grid = shape.batch * shape.groups * tilesPerGroup(shape, layout);
  const name = kernelName('forward_chain', dtype, layout);
  const kernel: PlannedKernel = {
    ...{ module: layout.module, name, grid: [grid, 1, 1], threads: 32 * warps },
    ...{ sharedBytes: forwardChainBytes(layout, warps), values: { segments: 1, segmentSteps: 0 } },
  };
  const words = `${name}: ${grid} blocks, whose ${warps} warps share ${layout.channels} channels and hand states on after every ${layout.steps} steps`;
  return { kernels: [kernel], segments: 1, words };
}
