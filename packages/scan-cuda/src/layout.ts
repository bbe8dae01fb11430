// How warps are laid over a scan: the TypeScript side of kernels/layout.cuh.
import { type ScanShape, ScanShapeError } from '@mamba-ts/scan';

/** Storage of u, delta, z, y, variable B and C, and their gradients. Everything else is float32. */
export type ScanDtype = 'float32' | 'bf16';

/** One instance of the kernels' `Layout` template. */
export interface Layout {
  /** Suffix of the kernels' names, e.g. `n16k4`. */
  readonly name: string;
  readonly module: 'real16' | 'real' | 'general' | 'chain';
  readonly complex: boolean;
  /** Any sizes and alignment, constant or variable B and C; otherwise dState is exactly `states`. */
  readonly masked: boolean;
  /** Most states per channel. */
  readonly states: number;
  /** Lanes that share a channel, states of a lane, channels of a warp, steps of a tile. */
  readonly lanes: number;
  readonly statesPerLane: number;
  readonly channels: number;
  readonly steps: number;
  /** Channels of a lane: `channels` is 32 / lanes times as many. */
  readonly perLane: number;
  /**
   * Which kernels it has: `whole` warps have channels of their own, `split` ones share them and meet at barriers, those of
   * a `chain` hand states on; `backward` is the second half of backward, `backward chain` all of it.
   */
  readonly kernels: 'whole' | 'split and backward' | 'backward' | 'forward chain' | 'backward chain';
  /** Warps of a block in backward: each takes `steps` steps of a chunk. */
  readonly slices: number;
  /** Most warps of a block of a chain. */
  readonly maxWarps: number;
}

function makeLayout(module: Layout['module'], name: string, lanes: number, statesPerLane: number, kind: Partial<Layout> = {}): Layout {
  const { complex = false, perLane = 1 } = kind;
  return {
    ...{ name, module, complex, masked: false, kernels: 'split and backward', states: lanes * statesPerLane, lanes, statesPerLane, perLane, slices: 4, maxWarps: 16 },
    ...{ channels: (32 / lanes) * perLane, steps: 32 / (statesPerLane * (complex ? 2 : 1)) },
    ...kind,
  };
}

export const layouts: readonly Layout[] = [
  makeLayout('real16', 'n16k4', 4, 4),
  makeLayout('real16', 'n16k8', 8, 2),
  makeLayout('real16', 'n16k4', 4, 4, { kernels: 'whole' }),
  makeLayout('real16', 'n16k4r2', 4, 4, { kernels: 'whole', perLane: 2 }),
  makeLayout('chain', 'n16k4r2t8c', 4, 4, { kernels: 'forward chain', perLane: 2, steps: 8, maxWarps: 8 }),
  makeLayout('chain', 'n16k4r1t16c', 4, 4, { kernels: 'forward chain', perLane: 1, steps: 16, maxWarps: 8 }),
  makeLayout('chain', 'n16k4r1t8a', 4, 4, { kernels: 'forward chain', perLane: 1, steps: 8, maxWarps: 16 }),
  makeLayout('chain', 'n16k8r3t8c', 8, 2, { kernels: 'forward chain', perLane: 3, steps: 8, maxWarps: 8 }),
  makeLayout('chain', 'n16k4t8', 4, 4, { kernels: 'backward chain', steps: 8, maxWarps: 8 }),
  makeLayout('chain', 'n16k8t16', 8, 2, { kernels: 'backward chain', steps: 16, maxWarps: 8 }),
  makeLayout('chain', 'n16k8t8', 8, 2, { kernels: 'backward chain', steps: 8, maxWarps: 12 }),
  makeLayout('real', 'n8k2', 2, 4),
  makeLayout('real', 'n32k8', 8, 4),
  makeLayout('real', 'n64k16', 16, 4),
  makeLayout('real', 'n128k32', 32, 4),
  makeLayout('general', 'real32', 8, 4, { masked: true }),
  makeLayout('general', 'real256', 32, 8, { masked: true }),
  makeLayout('general', 'complex16', 8, 2, { masked: true, complex: true }),
  makeLayout('general', 'complex256', 32, 8, { masked: true, complex: true }),
];

/** Layouts that can run a scan, the more special ones first. */
export function layoutsOf(shape: ScanShape, kernels: Layout['kernels']): readonly Layout[] {
  const perGroup = shape.channels / shape.groups;
  return layouts.filter((layout) => {
    if (layout.kernels !== kernels && !(kernels === 'backward' && layout.kernels === 'split and backward')) return false;
    if (layout.complex !== shape.complex) return false;
    if (layout.masked) return shape.dState <= layout.states;
    return shape.variableB && shape.variableC && shape.dState === layout.states && perGroup % layout.channels === 0;
  });
}

/** Warps' worth of channels: tiles of a batch. */
export function tilesPerGroup(shape: ScanShape, layout: Layout): number {
  return Math.ceil(shape.channels / shape.groups / layout.channels);
}

/** `Layout::rowCoefficient` of layouts that are not masked. */
const coefficientRow = (steps: number, statesPerLane: number): number => steps * statesPerLane + (statesPerLane === 4 ? 8 : 4);

/** Shared memory of one warp in floats: `Layout::warpFloats`. */
function warpFloats({ masked, complex, lanes, statesPerLane, channels, steps }: Layout): number {
  const width = complex ? 2 : 1;
  const row = masked ? lanes * statesPerLane * width : coefficientRow(steps, statesPerLane);
  const coefficients = (masked ? Math.max(steps, channels) : lanes) * row;
  return channels * (2 * steps + 4) + 2 * coefficients + 4 * channels * (steps + 4) + 32;
}

/** Shared memory of a tile in floats: `xFloats`, `coefficients`, `pFloats`. */
function tileFloats({ steps, statesPerLane, lanes, perLane }: Layout): { readonly x: number; readonly coefficients: number; readonly sums: number } {
  const perRow = 32 / lanes;
  const gapX = perLane === 1 ? 0 : lanes === 8 ? 28 : 8;
  const perLaneSums = perRow * (steps + 4) + (lanes === 8 ? 24 : 8);
  const rest = lanes === 8 ? 4 : 8;
  const stride = Math.ceil((perLane * perLaneSums - rest) / (2 * rest)) * 2 * rest + rest;
  return {
    x: perLane * (perRow * (2 * steps + 4) + gapX),
    coefficients: lanes * coefficientRow(steps, statesPerLane),
    sums: lanes * stride,
  };
}

/** Shared memory of a warp with two buffers: `Layout::doubleFloats`. */
function doubleFloats(layout: Layout): number {
  const { x, coefficients, sums } = tileFloats(layout);
  return 2 * (x + 2 * coefficients + Math.max(sums, layout.channels * (layout.steps + 4)) + 32);
}

/** Dynamic shared memory of a block of `forwardChain` in bytes. */
export function forwardChainBytes(layout: Layout, warps: number): number {
  const { x, coefficients, sums } = tileFloats(layout);
  return 4 * warps * (x + 3 * coefficients + sums + 32 + layout.perLane * 32 * layout.statesPerLane);
}

/** Dynamic shared memory of a block of `backwardChain` in bytes, which takes `sets` sets of channels. */
export function backwardChainBytes(layout: Layout, warps: number, sets: number): number {
  const { statesPerLane, channels, steps } = layout;
  const part = 32 * statesPerLane;
  const itemValues = steps * channels <= 32 ? 1 : 2;
  return 4 * (warps * warpFloats(layout) + sets * (part + 2 * channels + warps * (2 * part + 64 * itemValues)));
}

/** The layout of that name, or a ScanShapeError that lists the names. */
export function namedLayout(candidates: readonly Layout[], option: string, name: string): Layout {
  const found = candidates.find((layout) => layout.name === name);
  if (found !== undefined) return found;
  const expected = `one of ${candidates.map((layout) => layout.name).join(', ')}`;
  throw new ScanShapeError('planScan', `options.override.${option}`, expected, `value '${name}'`);
}

/** Name of a kernel: what it does, storage, layout. */
export const kernelName = (kind: string, dtype: ScanDtype, layout: Layout): string =>
  `${kind}_${dtype === 'bf16' ? 'bf16' : 'f32'}_${layout.name}`;

/** Shared memory that a block may have on every card of compute capability 8.0 and later. */
export const maxSharedBytes: number = 99 * 1024;

/** Dynamic shared memory of a block in bytes. */
export function sharedBytes(layout: Layout, kernel: 'whole' | 'split' | 'backward', warps: number): number {
  const part = 32 * layout.statesPerLane * (layout.complex ? 2 : 1);
  const own = warps * warpFloats(layout);
  if (kernel === 'whole') return 4 * warps * doubleFloats(layout);
  if (kernel === 'split') return 4 * (own + 2 * warps * 2 * part);
  const sums = warps * (layout.masked ? 3 : 1) * part + warps * 2 * layout.channels;
  return 4 * (own + (layout.masked ? 1 : 2) * (warps * 3 * part + sums));
}
