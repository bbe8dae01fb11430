// The arrays of a scan as buffers: names, element types, sizes.
import { type ScanArgument, type ScanShape, scanSize, stateWidth } from '@mamba-ts/scan';

/** Storage of u, delta, z, y, variable B and C, and their gradients. Everything else is float32. */
export type ScanDtype = 'float32' | 'f16';

/** Arrays that the caller of a launch gives. */
export type ScanArray =
  | ScanArgument
  | 'resets'
  | 'y'
  | 'lastState'
  | 'checkpoints'
  | 'gradY'
  | 'gradLastState'
  | 'gradU'
  | 'gradDelta'
  | 'gradA'
  | 'gradB'
  | 'gradC'
  | 'gradD'
  | 'gradZ'
  | 'gradDeltaBias'
  | 'gradInitialState';

/** Arrays that a plan keeps in its scratch. */
export type ScratchArray =
  | 'starts'
  | 'decays'
  | 'states'
  | 'adjoints'
  | 'partsB'
  | 'partsC'
  | 'partsD'
  | 'partsBias'
  | 'sums'
  | 'carry';

/** Element type as declared in WGSL. */
export type ElementType = 'f32' | 'f16' | 'i32';

/** The input of which a gradient has the shape. */
const gradientOf: Partial<Record<ScanArray, ScanArgument | 'y' | 'lastState'>> = {
  ...{ gradY: 'y', gradLastState: 'lastState', gradU: 'u', gradDelta: 'delta', gradA: 'A', gradB: 'B', gradC: 'C' },
  ...{ gradD: 'D', gradZ: 'z', gradDeltaBias: 'deltaBias', gradInitialState: 'initialState' },
};

/** What an array is laid out as: itself, or the input whose gradient it is. */
export function layoutOf(name: Exclude<ScanArray, 'checkpoints'>): ScanArgument | 'resets' | 'y' | 'lastState' {
  return gradientOf[name] ?? (name as ScanArgument);
}

export function elementType(shape: ScanShape, dtype: ScanDtype, name: ScanArray | ScratchArray): ElementType {
  if (name === 'resets') return 'i32';
  const like = gradientOf[name as ScanArray] ?? name;
  const stored =
    ['u', 'delta', 'z', 'y'].includes(like) || (like === 'B' && shape.variableB) || (like === 'C' && shape.variableC);
  return stored && dtype === 'f16' ? 'f16' : 'f32';
}

/** Steps between checkpoints: a tile of the backward kernel, which keeps its states in registers. */
export function chunkSteps(shape: ScanShape): number {
  return shape.complex || shape.dState > 32 ? 8 : 16;
}

/** Elements of an array that a caller gives. `checkpoints` is (batch, chunks, channels, dState[, 2]). */
export function arrayElements(shape: ScanShape, name: ScanArray): number {
  if (name !== 'checkpoints') return scanSize(shape, layoutOf(name));
  const chunks = Math.ceil(shape.length / chunkSteps(shape));
  return shape.batch * chunks * shape.channels * shape.dState * stateWidth(shape);
}

/** Bytes of a caller's array, rounded up to whole 32-bit words as bindings must be. */
export function arrayBytes(shape: ScanShape, dtype: ScanDtype, name: ScanArray): number {
  const bytes = arrayElements(shape, name) * (elementType(shape, dtype, name) === 'f16' ? 2 : 4);
  return Math.ceil(bytes / 4) * 4;
}

/** Arrays whose rows are the states of one channel or group, (…, dState[, 2]). */
export function hasStateRows(name: ScanArray | ScratchArray): boolean {
  return ['A', 'B', 'C', 'initialState', 'lastState', 'checkpoints', 'gradLastState', 'gradInitialState']
    .concat(['starts', 'decays', 'states', 'adjoints', 'partsB', 'partsC', 'carry'])
    .includes(name);
}
