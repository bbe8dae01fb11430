import { type TensorName, type Tiling } from '../types';
import { type StateKind } from './state';

/** Everything that a kernel's code depends on; sizes are in the parameter block. */
export interface Variant extends StateKind, Tiling {
  readonly variableB: boolean;
  readonly variableC: boolean;
  readonly D: boolean;
  readonly z: boolean;
  readonly deltaBias: boolean;
  readonly deltaSoftplus: boolean;
  readonly initialState: boolean;
  readonly lastState: boolean;
  readonly resets: boolean;
  readonly half: boolean;
  readonly sharedBuffers: boolean;
  /** One step, state in place. */
  readonly step: boolean;
  /** Forward: more than one chunk, so the records hold the chunks' first states. */
  readonly chunked: boolean;
  /** Backward: most tiles in a chunk. */
  readonly chunkTiles: number;
  /** Inputs that the pack kernel has copied to the scratch buffer. */
  readonly packed: ReadonlySet<TensorName>;
  /** Tensors that are stored as float16. */
  readonly halves: ReadonlySet<TensorName>;
}

/** Invocations of a workgroup: `channelBlock` for lane 0, then for lane 1 … */
export function workgroupSize({ channelBlock, lanes }: Variant): number {
  return channelBlock * lanes;
}

/** Floats per state. */
export function width({ complex }: Variant): number {
  return complex ? 2 : 1;
}

/** Lines of `code(i)` for i = 0 … count - 1. */
export function repeat(count: number, code: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => code(i)).join('\n');
}

/** `code` where `condition`, else nothing. */
export function when(condition: boolean, code: string): string {
  return condition ? code : '';
}
