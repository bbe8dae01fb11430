// The main kernel of backward, and the sums that it leaves: parallel over chunks, or along chains of warps.
import { type ScanShape, scanSize, stateWidth } from '@mamba-ts/scan';
import { type Layout, type ScanDtype, backwardChainBytes, kernelName, layoutsOf, maxSharedBytes, namedLayout, sharedBytes, tilesPerGroup } from './layout';
import type { PlanOverride, PlannedKernel, PlannedSum, ScratchArray } from './plan';
import { adjointEnds } from './plan-walk';

/** How backward runs. */
export interface BackwardMain {
  /** Steps between the states that it starts from. */
  readonly chunk: number;
  /** It takes adjoints at the chunks' ends from a pass before it. */
  readonly needsAdjoints: boolean;
  readonly parts: number;
  readonly tilesPerPart: number;
  /** Pieces of the sequence that it takes at once; 1: no cut. */
  readonly segments: number;
  readonly kernels: readonly PlannedKernel[];
  readonly sums: readonly PlannedSum[];
  /** Bytes of its scratch arrays. */
  readonly arrays: readonly (readonly [name: ScratchArray, bytes: number])[];
  readonly words: string;
}

interface Common {
  readonly shape: ScanShape;
  readonly dtype: ScanDtype;
  readonly multiprocessors: number;
}

export function planBackward(common: Common, { leastMemory = false, override = {} }: BackwardOptions = {}): BackwardMain {
  const { shape } = common;
  const chains = layoutsOf(shape, 'backward chain');
  if (override.backward !== undefined) {
    const chain = chains.find((layout) => layout.name === override.backward);
    if (chain !== undefined) return chainBackward(common, { layout: chain, warps: 4, sets: 1, segments: 1, ...override.chain });
    return chunkBackward(common, namedLayout(layoutsOf(shape, 'backward'), 'backward', override.backward));
  }
  const best = leastMemory || shape.length < 64 ? undefined : bestChain(common, chains);
  return best === undefined ? chunkBackward(common, layoutsOf(shape, 'backward')[0]) : chainBackward(common, best);
}

export interface BackwardOptions {
  readonly leastMemory?: boolean;
  readonly override?: PlanOverride;
}

interface Chain {
  readonly layout: Layout;
  readonly warps: number;
  readonly sets: number;
  readonly segments: number;
}

/** Steps of a segment: whole rounds of a block. */
const segmentStepsOf = ({ length }: ScanShape, { layout, warps, segments }: Chain): number =>
  Math.ceil(length / segments / (layout.steps * warps)) * layout.steps * warps;

/**
 * The fastest chain, where one keeps the device busy with 8 warps a multiprocessor in blocks of equal work. Costs are in
 * units of 8 channels in kernel `n16k4t8` over the whole length (47 us for 2048 steps), fitted to times on an H200
 * (results/): what is done once a tile, for all sets, takes as long as half a set; the ends of segments a third of a unit
 * and some launches; partial sums of dB and dC must be read again. The kernels that are parallel over chunks take 2.1,
 * however few channels there are.
 */
const layoutCost: Readonly<Record<string, number>> = { n16k4t8: 1, n16k8t16: 1.15, n16k8t8: 1.2 };

function bestChain({ shape, multiprocessors }: Common, layouts: readonly Layout[]): Chain | undefined {
  const work = (shape.batch * shape.channels) / 8 / multiprocessors;
  let best: Chain | undefined;
  let least = 2.1 * work;
  for (const layout of layouts) {
    for (const warps of [2, 4, 8]) {
      for (const sets of [8, 6, 4, 3, 2, 1]) {
        if (backwardChainBytes(layout, warps, sets) > maxSharedBytes) continue;
        for (const wanted of [1, 2, 3, 4, 6, 8, 11, 16, 24, 32]) {
          const rounded = segmentStepsOf(shape, { layout, warps, sets, segments: wanted });
          const segments = Math.ceil(shape.length / rounded);
          if (segments > 1 && (rounded < 128 || layoutsOf(shape, 'whole').length === 0)) continue;
          const parts = Math.ceil(tilesPerGroup(shape, layout) / sets);
          const together = 8 / warps;
          const waves = Math.ceil((shape.batch * shape.groups * parts * segments) / (multiprocessors * together));
          const fill = 1 + (warps - 1) / 2 / Math.max(1, (sets * rounded) / layout.steps / warps);
          const main = waves * together * (sets + 0.45) * (layout.channels / 8) * layoutCost[layout.name] * fill * (rounded / shape.length);
          const ends = segments > 1 ? (0.33 * work * (segments - 1)) / segments + 700 / shape.length : 0;
          const cost = main + ends + 0.0013 * parts * shape.batch * shape.groups;
          if (cost >= least) continue;
          least = cost;
          best = { layout, warps, sets, segments };
        }
      }
    }
  }
  return best;
}

/** A block per chunk, or several with parts of the channels. */
function chunkBackward({ shape, dtype, multiprocessors }: Common, layout: Layout): BackwardMain {
  const chunk = layout.slices * layout.steps;
  const rows = shape.batch * Math.ceil(shape.length / chunk);
  const tiles = tilesPerGroup(shape, layout);
  // Parts: enough blocks for every multiprocessor to have several, each with at least four tiles of channels.
  const whole = rows * shape.groups;
  const wanted = Math.min(Math.ceil((9 * multiprocessors) / whole), Math.ceil(tiles / 4));
  const tilesPerPart = Math.ceil(tiles / Math.max(1, wanted));
  const parts = Math.ceil(tiles / tilesPerPart);
  const kernel: PlannedKernel = {
    ...{ module: layout.module, name: kernelName('backward', dtype, layout), grid: [whole * parts, 1, 1], threads: 32 * layout.slices },
    sharedBytes: sharedBytes(layout, 'backward', layout.slices),
  };
  const words =
    `${kernel.name}: ${whole} blocks for chunks of ${chunk} steps${parts > 1 ? `, times ${parts} parts of the channels` : ''}, ` +
    `${layout.lanes} lanes a channel with ${layout.statesPerLane} states each` +
    (layout.masked ? `, masked (dState ${shape.dState}, any alignment)` : '');
  return { chunk, needsAdjoints: true, parts, tilesPerPart, segments: 1, kernels: [kernel], words, ...sumsOf(shape, dtype, rows, parts) };
}

/** A block per `sets` tiles of channels and segment, whose warps take tiles of steps in turn. */
function chainBackward({ shape, dtype, multiprocessors }: Common, chain: Chain): BackwardMain {
  const { layout, warps, sets } = chain;
  const parts = Math.ceil(tilesPerGroup(shape, layout) / sets);
  const segmentSteps = segmentStepsOf(shape, chain);
  const segments = Math.ceil(shape.length / segmentSteps);
  const grid = shape.batch * segments * shape.groups * parts;
  const kernel: PlannedKernel = {
    ...{ module: layout.module, name: kernelName('backward_chain', dtype, layout), grid: [grid, 1, 1], threads: 32 * warps },
    ...{ sharedBytes: backwardChainBytes(layout, warps, sets), values: { segments, segmentSteps } },
  };
  const ends = segments > 1 ? adjointEnds(shape, segments, segmentSteps, dtype, multiprocessors) : [];
  const words =
    `${kernel.name}: ${grid} blocks with ${sets * layout.channels} channels each, whose ${warps} warps hand states on after every ` +
    `${layout.steps} steps${segments > 1 ? `; time in ${segments} segments of ${segmentSteps} steps, their ends first by ${ends[0].name}` : ''}`;
  const common = { chunk: layout.steps, needsAdjoints: false, parts, tilesPerPart: sets, segments };
  return { ...common, kernels: [...ends, kernel], words, ...sumsOf(shape, dtype, shape.batch * segments, parts) };
}

/** What is left to add up: over `rows` of sums for A, D, delta bias and constant B and C, over `parts` for variable B and C. */
function sumsOf(shape: ScanShape, dtype: ScanDtype, rows: number, parts: number): Pick<BackwardMain, 'sums' | 'arrays'> {
  const columns = shape.channels * shape.dState * stateWidth(shape);
  const sums: PlannedSum[] = [
    { gradient: 'A', from: 'adjoints', rows, columns, bf16: false },
    { gradient: 'D', from: 'partsD', rows, columns: shape.channels, bf16: false },
    { gradient: 'deltaBias', from: 'partsBias', rows, columns: shape.channels, bf16: false },
  ];
  const arrays: [ScratchArray, number][] = [
    ['adjoints', rows * columns * 4],
    ['partsD', rows * shape.channels * 4],
    ['partsBias', rows * shape.channels * 4],
  ];
  for (const [gradient, from, variable] of [['B', 'partsB', shape.variableB], ['C', 'partsC', shape.variableC]] as const) {
    if (variable && parts === 1) continue;
    const size = scanSize(shape, gradient);
    arrays.push([from, (variable ? parts * size : rows * columns) * 4]);
    sums.push({ gradient, from, rows: variable ? parts : rows, columns: variable ? size : columns, bf16: variable && dtype === 'bf16' });
  }
  return { sums, arrays };
}
