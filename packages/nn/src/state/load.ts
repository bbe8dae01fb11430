import { isFloat, sameShape, type Shape, Tensor, TensorError, type Variable } from '@mamba-ts/tensor';
import {
  equalBytes,
  readSafetensors,
  type SafetensorsReader,
  type SafetensorsTensor,
  toFloat32,
  toFloat64,
  toInt32,
} from '../safetensors/index';
import { type MisfitTensor, shapeReason, StateDictError } from './state-dict-error';
import type { Stateful } from './stateful';

export interface LoadOptions {
  /** Default true: every variable must get a value and every tensor must have a variable. */
  readonly strict?: boolean;
  /** The target's key for a tensor's name in the file; null leaves the tensor out. */
  readonly rename?: (name: string) => string | null;
}

/** What was loaded, and what `strict: false` let pass; keys of the target. */
export interface LoadReport {
  readonly loaded: readonly string[];
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
}

/** What is known of a tensor before its values are read. */
export interface Described {
  /** A safetensors dtype, or a tensor's own. */
  readonly dtype: string;
  readonly shape: Shape;
}

type Source = SafetensorsTensor | Tensor;

/**
 * Fills the variables of a module or optimiser. Values are converted to each variable's type; a variable with several
 * keys (tied weights) needs one of them. Everything is checked first: on an error nothing was written.
 *
 * @param tensors a safetensors file in memory, or tensors by name: of a file, or of another module
 *   (`other.stateDict()`)
 * @throws StateDictError with all keys that are missing, unexpected, or of another shape or kind; the last also if
 *   `strict` is false
 */
export function loadStateDict(
  target: Stateful,
  tensors: Uint8Array | ReadonlyMap<string, Source>,
  options: LoadOptions = {},
): LoadReport {
  const sources = tensors instanceof Uint8Array ? readSafetensors(tensors).tensors : tensors;
  const loading = load(target.stateDict(), sources, options);
  let next = loading.next();
  while (!next.done) next = loading.next(sources.get(next.value) as Source);
  return next.value;
}

/** As `loadStateDict`, from a file that is read tensor by tensor: memory for the model once, and for one tensor. */
export async function readStateDict(
  target: Stateful,
  reader: SafetensorsReader,
  options: LoadOptions = {},
): Promise<LoadReport> {
  const loading = load(target.stateDict(), reader.entries, options);
  let next = loading.next();
  while (!next.done) next = loading.next(await reader.read(next.value));
  return next.value;
}

/** What does not fit between a module and the tensors of a file, before anything is read. */
export interface StateDictDifference {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misfit: readonly MisfitTensor[];
}

/** Compares names, shapes and kinds only: keys of the target that lack a tensor, tensors that lack a key, and misfits. */
export function compareStateDict(
  target: Stateful,
  entries: ReadonlyMap<string, Described>,
  options: Pick<LoadOptions, 'rename'> = {},
): StateDictDifference {
  const { missing, unexpected, misfit } = match(target.stateDict(), entries, options);
  return { missing, unexpected, misfit };
}

interface Assignment {
  readonly variable: Variable;
  /** Names in the file of this variable's values: more than one when tied weights are stored twice. */
  readonly names: string[];
  readonly keys: string[];
}

/** Yields the names of the tensors it wants, gets their values. */
function* load(
  state: ReadonlyMap<string, Variable>,
  entries: ReadonlyMap<string, Described>,
  options: LoadOptions,
): Generator<string, LoadReport, Source> {
  const { assignments, missing, unexpected, misfit } = match(state, entries, options);
  const strict = options.strict ?? true;
  if (misfit.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    throw new StateDictError({ missing: strict ? missing : [], unexpected: strict ? unexpected : [], misfit });
  }
  // Values that could still be refused are looked at before the first is written.
  for (const { variable, names, keys } of assignments) {
    if (names.length === 1 && isFloat(variable.dtype)) continue;
    const first = yield names[0];
    if (!isFloat(variable.dtype) && !(first instanceof Tensor)) convert(first, variable);
    for (let i = 1; i < names.length; i++) {
      if (sameValues(first, yield names[i])) continue;
      misfit.push({ key: keys[i], reason: `other values than ${keys[0]}, expected the same: they are one variable` });
    }
  }
  if (misfit.length > 0) throw new StateDictError({ missing: [], unexpected: [], misfit });
  for (const { variable, names } of assignments) {
    const source = yield names[0];
    if (source instanceof Tensor) variable.assign(source);
    else variable.write(convert(source, variable));
  }
  return { loaded: assignments.flatMap((a) => a.keys), missing, unexpected };
}

interface Matched {
  readonly assignments: Assignment[];
  readonly missing: string[];
  readonly unexpected: string[];
  readonly misfit: MisfitTensor[];
}

function match(
  state: ReadonlyMap<string, Variable>,
  entries: ReadonlyMap<string, Described>,
  { rename }: LoadOptions,
): Matched {
  const found = new Map<Variable, Assignment>();
  const unexpected: string[] = [];
  const misfit: MisfitTensor[] = [];
  const taken = new Map<string, string>();
  for (const [name, { dtype, shape }] of entries) {
    const key = rename ? rename(name) : name;
    if (key === null) continue;
    const other = taken.get(key);
    if (other !== undefined) throw new TensorError(`loadStateDict: rename gives ${key} for both ${other} and ${name}`);
    taken.set(key, name);
    const variable = state.get(key);
    if (!variable) {
      unexpected.push(key);
      continue;
    }
    if (!sameShape(shape, variable.shape)) misfit.push({ key, reason: shapeReason(shape, variable.shape) });
    else if (!fitsKind(dtype, variable))
      misfit.push({ key, reason: `dtype ${dtype}, expected one for ${variable.dtype}` });
    const assignment = found.get(variable);
    if (!assignment) {
      found.set(variable, { variable, names: [name], keys: [key] });
    } else {
      assignment.names.push(name);
      assignment.keys.push(key);
    }
  }
  const missing: string[] = [];
  const reported = new Set<Variable>();
  for (const [key, variable] of state) {
    if (found.has(variable) || reported.has(variable)) continue;
    reported.add(variable);
    missing.push(key);
  }
  return { assignments: [...found.values()], missing, unexpected, misfit };
}

/** Floats take any number, counters and flags only what is exact. */
function fitsKind(dtype: string, variable: Variable): boolean {
  if (isFloat(variable.dtype)) return dtype !== 'BOOL' && dtype !== 'bool';
  if (variable.dtype === 'bool') return dtype === 'BOOL' || dtype === 'bool';
  return /^[IU]\d+$/.test(dtype) || dtype === 'int32';
}

/** @throws SafetensorsError for an integer that int32 does not hold */
function convert(tensor: SafetensorsTensor, variable: Variable): Float32Array | Float64Array | Int32Array {
  if (!isFloat(variable.dtype)) return toInt32(tensor);
  return tensor.dtype === 'F64' ? toFloat64(tensor) : toFloat32(tensor);
}

function sameValues(a: Source, b: Source): boolean {
  if (a instanceof Tensor || b instanceof Tensor) return a === b;
  return a.dtype === b.dtype && equalBytes(a.bytes, b.bytes);
}
