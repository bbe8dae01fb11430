// The parameter block and the scratch memory of the WASM kernels: the TypeScript side of assembly/params.ts.
import { type ScanShape, scanSize, stateWidth } from './types';
import { ScanShapeError, checkStep } from './validation';

/** Bytes of the parameter block, 38 fields of 32 bits, rounded up. */
export const scanParamsBytes = 160;

/** Time steps per tile and channels per block in the kernels. */
const tile = 64;
const block = 16;
/** Backward tasks per sequence: enough for threads, few enough that their partial sums of dB and dC stay small. */
const maxTasks = 16;

/** Kernels by what they compute. Backward's phases run in this order, each when all threads have ended the last. */
export const scanExports = {
  forward: ['scanForward'],
  backward: ['scanBackwardStates', 'scanBackwardMain', 'scanBackwardReduce'],
  stateUpdate: ['scanStateUpdate'],
} as const;

export type ScanKernel = keyof typeof scanExports;

const pointerFields = [
  ...['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'resets'],
  ...['y', 'lastState'],
  ...['gradY', 'gradLastState', 'gradU', 'gradDelta', 'gradA', 'gradB', 'gradC', 'gradD', 'gradZ', 'gradDeltaBias'],
  'gradInitialState',
] as const;

/**
 * Byte addresses of the arrays in linear memory, multiples of 4; absent or 0 where there is none. Float arrays are
 * float32. Forward needs `y`, backward `gradY`; `lastState` and every
 * gradient of an input may be left out.
 */
export interface ScanPointers {
  readonly u: number;
  readonly delta: number;
  readonly A: number;
  readonly B: number;
  readonly C: number;
  readonly D?: number;
  readonly z?: number;
  readonly deltaBias?: number;
  readonly initialState?: number;
  /** int32, or bytes with `resetsAreBytes`. */
  readonly resets?: number;
  readonly y?: number;
  /** May equal `initialState`: the state is then updated in place. */
  readonly lastState?: number;
  readonly gradY?: number;
  readonly gradLastState?: number;
  readonly gradU?: number;
  readonly gradDelta?: number;
  readonly gradA?: number;
  readonly gradB?: number;
  readonly gradC?: number;
  readonly gradD?: number;
  readonly gradZ?: number;
  readonly gradDeltaBias?: number;
  readonly gradInitialState?: number;
  /**
   * Forward only: {@link scanTileStatesBytes} bytes that receive the states at tile starts. Given to backward in its
   * turn, they save its first phase (`scanBackwardStates` need not be called).
   */
  readonly tileStates?: number;
}

export interface ScanCall {
  readonly kernel: ScanKernel;
  readonly shape: ScanShape;
  readonly pointers: ScanPointers;
  readonly deltaSoftplus?: boolean;
  readonly resetsAreBytes?: boolean;
  /** Address of {@link scanScratchBytes} bytes, a multiple of 16. Contents don't matter. */
  readonly scratch: number;
  /** Number of threads that will call the kernel: the one {@link scanScratchBytes} was asked for. */
  readonly threads: number;
}

const align = (bytes: number): number => Math.ceil(bytes / 16) * 16;

/** Bytes of the states at tile starts. */
export function scanTileStatesBytes(shape: ScanShape): number {
  const vectors = Math.ceil(shape.channels / shape.groups / 4);
  const tiles = Math.ceil(shape.length / tile);
  return shape.batch * shape.groups * tiles * vectors * shape.dState * stateWidth(shape) * 16;
}

/** Channels of one backward task: blocks of one group, at most `maxTasks` tasks per sequence unless groups are more. */
function taskChannels(shape: ScanShape): number {
  const blocks = Math.ceil(shape.channels / shape.groups / block);
  const perGroup = Math.max(1, Math.min(blocks, Math.floor(maxTasks / shape.groups)));
  return Math.ceil(blocks / perGroup) * block;
}

/** Work area of one thread; the layouts are those at the heads of forwardBlock and backwardTask in assembly/. */
function workBytes(shape: ScanShape, kernel: ScanKernel): number {
  const columns = shape.dState * stateWidth(shape);
  // 64 bytes more than the contents: TILE_BYTES in assembly/tile.ts says why
  const tileBytes = tile * block * 4 + 64;
  const panels = block * columns * 4;
  const forward = 3 * tileBytes + 4 * panels;
  if (kernel !== 'backward') return forward;
  const sums = Math.ceil(columns / 4) * tile * 64 + 64;
  const blocks = taskChannels(shape) / block;
  const backward = 8 * tileBytes + (2 * tile + 1) * 32 + 2 * sums + blocks * (7 * panels + 2 * block * 4);
  return align(Math.max(forward, backward));
}

interface Partial {
  readonly bytes: number;
  readonly count: number;
}

/** Sums that backward finishes in its last phase: number of summands, and their bytes (none where there is one). */
function partials(shape: ScanShape): Record<'A' | 'B' | 'C' | 'D' | 'deltaBias', Partial> {
  const tasks = Math.ceil(shape.channels / shape.groups / taskChannels(shape));
  const partial = (size: number, count: number): Partial => ({
    count,
    bytes: count === 1 ? 0 : align(4 * size * count),
  });
  return {
    A: partial(scanSize(shape, 'A'), shape.batch),
    B: partial(scanSize(shape, 'B'), shape.variableB ? tasks : shape.batch),
    C: partial(scanSize(shape, 'C'), shape.variableC ? tasks : shape.batch),
    D: partial(shape.channels, shape.batch),
    deltaBias: partial(shape.channels, shape.batch),
  };
}

/** Does scanStateUpdate take the path that needs no scratch? */
function updatesInPlace(shape: ScanShape): boolean {
  return !shape.complex && shape.dState % 4 === 0;
}

/**
 * Scratch bytes of one call with `threads` threads. Forward: {@link scanTileStatesBytes} are extra, where wanted.
 * Backward: states at tile starts, unless it is given them (`givenTileStates`), partial sums and the threads' work
 * areas, never (batch, length, channels, dState).
 */
export function scanScratchBytes(
  shape: ScanShape,
  kernel: ScanKernel,
  threads: number,
  givenTileStates: boolean = false,
): number {
  if (kernel === 'stateUpdate' && updatesInPlace(shape)) return 0;
  const work = threads * workBytes(shape, kernel);
  if (kernel !== 'backward') return work;
  const sums = Object.values(partials(shape)).reduce((total, { bytes }) => total + bytes, 0);
  return work + (givenTileStates ? 0 : align(scanTileStatesBytes(shape))) + sums;
}

/**
 * Writes the parameter block of one call at byte `at` of `view`. Addresses beyond 2^31 are fine. The block must stay
 * as it is until the last phase has ended. Shape and sizes of the arrays are trusted (checkScanShape, scanSize).
 */
export function writeScanParams(view: DataView, at: number, call: ScanCall): void {
  const { kernel, shape, pointers, threads } = call;
  const caller = 'writeScanParams';
  if (kernel === 'stateUpdate') checkStep(shape, caller);
  if (!Number.isSafeInteger(threads) || threads < 1) {
    throw new ScanShapeError(caller, 'threads', 'an integer of at least 1', `value ${threads}`);
  }
  if (call.scratch + scanScratchBytes(shape, kernel, threads, pointers.tileStates !== undefined) > 2 ** 32) {
    throw new ScanShapeError(caller, 'scratch', 'an end below 4 GiB', `address ${call.scratch}`);
  }
  const flags =
    (shape.complex ? 1 : 0) |
    (shape.variableB ? 2 : 0) |
    (shape.variableC ? 4 : 0) |
    (call.deltaSoftplus ? 8 : 0) |
    (call.resetsAreBytes ? 16 : 0);
  const fields = [shape.batch, shape.length, shape.channels, shape.dState, shape.groups, flags];
  fields.push(...pointerFields.map((name) => pointers[name] ?? 0));
  let free = call.scratch;
  const take = (bytes: number): number => {
    const address = free;
    free += align(bytes);
    return address;
  };
  const perThread = workBytes(shape, kernel);
  fields.push(take(threads * perThread), perThread);
  if (kernel === 'backward') {
    fields.push(pointers.tileStates ?? take(scanTileStatesBytes(shape)), taskChannels(shape));
    const sums = partials(shape);
    for (const [name, gradient] of [
      ['A', pointers.gradA],
      ['B', pointers.gradB],
      ['C', pointers.gradC],
      ['D', pointers.gradD],
      ['deltaBias', pointers.gradDeltaBias],
    ] as const) {
      const { bytes, count } = sums[name];
      const space = take(bytes);
      fields.push(gradient === undefined || gradient === 0 ? 0 : count === 1 ? gradient : space);
    }
  } else {
    fields.push(pointers.tileStates ?? 0, 0, 0, 0, 0, 0, 0);
  }
  fields.forEach((value, index) => view.setUint32(at + 4 * index, value, true));
}
