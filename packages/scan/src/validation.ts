import {
  type FloatArray,
  type ScanArgument,
  type ScanInputs,
  type ScanOutputGradients,
  type ScanShape,
  scanArguments,
  scanDimensions,
  scanSize,
} from './types';

/** Most states per channel that the contract covers. */
export const maxStates = 256;

/** An argument of a scan does not have the shape or the kind it must have. */
export class ScanShapeError extends Error {
  override readonly name = 'ScanShapeError';
  /** @param caller the function that was called, @param argument the argument at fault */
  constructor(
    readonly caller: string,
    readonly argument: string,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${caller}: ${argument} has ${got}, expected ${expected}`);
  }
}

/** Shapes of a scan's arguments as a tensor library has them. */
export interface ScanArgumentShapes {
  readonly u: readonly number[];
  readonly delta: readonly number[];
  readonly A: readonly number[];
  readonly B: readonly number[];
  readonly C: readonly number[];
  readonly D?: readonly number[];
  readonly z?: readonly number[];
  readonly deltaBias?: readonly number[];
  readonly initialState?: readonly number[];
  readonly resets?: readonly number[];
}

const requiredArguments: readonly ScanArgument[] = ['u', 'delta', 'A', 'B', 'C'];

function printShape(shape: readonly number[]): string {
  return `shape (${shape.join(', ')})`;
}

/** Prints any value for an error message, short and without running its code. */
function printValue(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    return `${Object.prototype.toString.call(value).slice(8, -1)} of ${value.byteLength} bytes`;
  }
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value))
    return `value ${String(value)}`;
  if (typeof value === 'string') return `value '${value.slice(0, 40)}'`;
  return `type ${typeof value}`;
}

function isShape(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function printDimensions(dimensions: readonly (readonly [string, number])[]): string {
  return `(${dimensions.map(([axis, size]) => `${axis} ${size}`).join(', ')})`;
}

/** Throws unless every field of `shape` is in its range. */
export function checkScanShape(shape: ScanShape, caller = 'selectiveScan'): void {
  if (shape === null || typeof shape !== 'object')
    throw new ScanShapeError(caller, 'shape', 'a ScanShape', printValue(shape));
  for (const field of ['batch', 'length', 'channels', 'dState', 'groups'] as const) {
    const value: unknown = shape[field];
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw new ScanShapeError(caller, `shape.${field}`, 'an integer of at least 1', printValue(value));
    }
  }
  for (const field of ['complex', 'variableB', 'variableC'] as const) {
    if (typeof shape[field] !== 'boolean') {
      throw new ScanShapeError(caller, `shape.${field}`, 'true or false', printValue(shape[field]));
    }
  }
  if (shape.dState > maxStates) {
    throw new ScanShapeError(caller, 'shape.dState', `at most ${maxStates}`, printValue(shape.dState));
  }
  if (shape.channels % shape.groups !== 0) {
    const expected = `a divisor of channels ${shape.channels}`;
    throw new ScanShapeError(caller, 'shape.groups', expected, printValue(shape.groups));
  }
  for (const name of [...scanArguments, 'resets'] as const) {
    if (!Number.isSafeInteger(scanSize(shape, name) * 8)) {
      throw new ScanShapeError(
        caller,
        'shape',
        `arrays below 2^53 bytes`,
        `${name} ${printDimensions(scanDimensions(shape, name))}`,
      );
    }
  }
}

/**
 * The scan that arguments of these shapes describe: a third axis of A makes it complex, four axes (five in complex
 * mode) make B or C variable. Throws a {@link ScanShapeError} that names the first argument that does not fit.
 */
export function scanShapeOf(shapes: ScanArgumentShapes, caller = 'selectiveScan'): ScanShape {
  for (const name of [...scanArguments, 'resets'] as const) {
    const value: unknown = shapes[name];
    if (value === undefined && !(requiredArguments as readonly string[]).includes(name)) continue;
    if (!isShape(value)) throw new ScanShapeError(caller, name, 'a shape: an array of sizes', printValue(value));
  }
  const { u, A, B, C } = shapes;
  if (u.length !== 3) throw new ScanShapeError(caller, 'u', '(batch, length, channels)', printShape(u));
  const complex = A.length === 3;
  if (!complex && A.length !== 2) {
    throw new ScanShapeError(
      caller,
      'A',
      '(channels, dState), or (channels, dState, re/im 2) in complex mode',
      printShape(A),
    );
  }
  const constantRank = complex ? 3 : 2;
  const variableRank = complex ? 5 : 4;
  for (const [name, axes] of [
    ['B', B],
    ['C', C],
  ] as const) {
    if (axes.length !== constantRank && axes.length !== variableRank) {
      const last = complex ? ', re/im 2' : '';
      const expected = `(batch, length, groups, dState${last}) or (channels, dState${last})`;
      throw new ScanShapeError(caller, name, expected, printShape(axes));
    }
  }
  const variableB = B.length === variableRank;
  const variableC = C.length === variableRank;
  const groups = variableB ? B[2] : variableC ? C[2] : 1;
  const shape: ScanShape = {
    batch: u[0],
    length: u[1],
    channels: u[2],
    dState: A[1],
    groups,
    complex,
    variableB,
    variableC,
  };
  checkScanShape(shape, caller);
  for (const name of [...scanArguments, 'resets'] as const) {
    const got = shapes[name];
    if (got === undefined) continue;
    const dimensions = scanDimensions(shape, name);
    if (got.length !== dimensions.length || dimensions.some(([, size], axis) => size !== got[axis])) {
      throw new ScanShapeError(caller, name, printDimensions(dimensions), printShape(got));
    }
  }
  return shape;
}

/** Throws unless `value` is a `Kind` (where given) with as many elements as `name` has in `shape`. */
function checkArray(
  shape: ScanShape,
  name: ScanArgument | 'resets' | 'y' | 'lastState',
  argument: string,
  value: unknown,
  kinds: readonly { readonly name: string; new (): object }[],
  caller: string,
): void {
  if (!kinds.some((kind) => value instanceof kind)) {
    throw new ScanShapeError(caller, argument, `a ${kinds.map((kind) => kind.name).join(' or ')}`, printValue(value));
  }
  const length = (value as FloatArray).length;
  const expected = scanSize(shape, name);
  if (length !== expected) {
    const text = `${expected} for ${printDimensions(scanDimensions(shape, name))}`;
    throw new ScanShapeError(caller, argument, text, `${length} elements`);
  }
}

/** Throws unless shape, arrays and their lengths fit together. `kinds`: the float array classes that are accepted. */
export function checkScanInputs(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  kinds: readonly { readonly name: string; new (): object }[] = [Float32Array, Float64Array],
  caller = 'selectiveScan',
): void {
  checkScanShape(shape, caller);
  if (inputs === null || typeof inputs !== 'object')
    throw new ScanShapeError(caller, 'inputs', 'an object', printValue(inputs));
  for (const name of scanArguments) {
    if (inputs[name] === undefined && !requiredArguments.includes(name)) continue;
    checkArray(shape, name, name, inputs[name], kinds, caller);
  }
  if (inputs.resets !== undefined)
    checkArray(shape, 'resets', 'resets', inputs.resets, [Int32Array, Uint8Array], caller);
}

/** Throws unless `shape` is a single step. */
export function checkStep(shape: ScanShape, caller: string): void {
  if (shape?.length !== 1)
    throw new ScanShapeError(caller, 'shape.length', '1 (one step)', `value ${String(shape?.length)}`);
}

/** Throws unless the gradients from above fit `shape`. */
export function checkOutputGradients(
  shape: ScanShape,
  gradients: ScanOutputGradients<FloatArray>,
  kinds: readonly { readonly name: string; new (): object }[] = [Float32Array, Float64Array],
  caller = 'selectiveScanBackward',
): void {
  if (gradients === null || typeof gradients !== 'object') {
    throw new ScanShapeError(caller, 'gradients', 'an object with y', printValue(gradients));
  }
  checkArray(shape, 'y', 'gradients.y', gradients.y, kinds, caller);
  if (gradients.lastState !== undefined) {
    checkArray(shape, 'lastState', 'gradients.lastState', gradients.lastState, kinds, caller);
  }
}
