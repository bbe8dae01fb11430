import { compared, type Result } from '../family';
import { largestRelativeError, relativeError } from '../measure';
import type { ParityDevice } from '../parity-device';

/** A place in nested objects and lists: `'zoh', 'K'`, or `'rows', 3, 'dt'`. */
export type Path = readonly (string | number)[];

/**
 * One entry of golden.json. Complex numbers are `[re, im]`; arrays are nested lists; both may lie in objects, and objects
 * in lists.
 */
export class GoldenCase {
  private readonly unread: Map<string, Path>;

  constructor(
    readonly name: string,
    private readonly inputs: Readonly<Record<string, unknown>>,
    private readonly outputs: Readonly<Record<string, unknown>>,
  ) {
    this.unread = new Map(leaves(outputs, []).map((path) => [JSON.stringify(path), path]));
  }

  hasInput(...path: Path): boolean {
    return at(this.inputs, path) !== undefined;
  }

  /** An input list, flat. */
  input(...path: Path): NestedNumbers {
    return flatten(at(this.inputs, path), `input ${format(path)} of ${this.name}`);
  }

  /** An input that is one number. */
  inputNumber(...path: Path): number {
    return single(this.input(...path), `input ${format(path)} of ${this.name}`);
  }

  /** An input that is a text. */
  inputText(...path: Path): string {
    return text(at(this.inputs, path), `input ${format(path)} of ${this.name}`);
  }

  /** An input list, or how many ones where it says `"ones"`. */
  inputOrOnes(count: number, ...path: Path): NestedNumbers {
    if (at(this.inputs, path) === 'ones') return { data: new Float64Array(count).fill(1), shape: [count] };
    return this.input(...path);
  }

  /** Names in an input that is an object; none where there is no such input. */
  inputNames(...path: Path): string[] {
    return namesIn(at(this.inputs, path));
  }

  hasOutput(...path: Path): boolean {
    return at(this.outputs, path) !== undefined;
  }

  /** An output list, flat; the output then counts as compared. */
  output(...path: Path): NestedNumbers {
    this.unread.delete(JSON.stringify(path));
    return flatten(at(this.outputs, path), `output ${format(path)} of ${this.name}`);
  }

  outputNumber(...path: Path): number {
    return single(this.output(...path), `output ${format(path)} of ${this.name}`);
  }

  /** An output that says whether something holds. */
  outputFlag(...path: Path): boolean {
    this.unread.delete(JSON.stringify(path));
    const flag = at(this.outputs, path);
    if (typeof flag !== 'boolean') throw new TypeError(`output ${format(path)} of ${this.name} is no boolean`);
    return flag;
  }

  /** An output that is a text. */
  outputText(...path: Path): string {
    this.unread.delete(JSON.stringify(path));
    return text(at(this.outputs, path), `output ${format(path)} of ${this.name}`);
  }

  /** Names in an output that is an object, or in all of them; none where there is no such output. */
  outputNames(...path: Path): string[] {
    return namesIn(at(this.outputs, path));
  }

  /** Number of elements of an output list. */
  outputLength(...path: Path): number {
    const list = at(this.outputs, path);
    if (!Array.isArray(list)) throw new TypeError(`output ${format(path)} of ${this.name} is no list`);
    return list.length;
  }

  /** Outputs that no check has asked for, those of the elements of a list as one: `rows[].euler.dA`. */
  leftOver(): string[] {
    return [...new Set([...this.unread.values()].map(format))];
  }
}

/** A nested list as one array in row-major order. */
export interface NestedNumbers {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** The places that hold no objects: numbers, texts, lists of numbers. */
function leaves(value: unknown, path: Path): Path[] {
  const isBranch = isObject(value) || (Array.isArray(value) && value.some(isObject));
  if (!isBranch) return [path];
  const entries: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, inner]) => leaves(inner, [...path, key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function at(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    const found = (isObject(value) || Array.isArray(value)) && Object.hasOwn(value, key);
    value = found ? (value as Record<string | number, unknown>)[key] : undefined;
  }
  return value;
}

function namesIn(value: unknown): string[] {
  return isObject(value) ? Object.keys(value) : [];
}

function format(path: Path): string {
  return path
    .map((key) => (typeof key === 'number' ? '[]' : `.${key}`))
    .join('')
    .replace(/^\./, '');
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new TypeError(`${what} is ${JSON.stringify(value)}, expected a text`);
  return value;
}

function single({ data, shape }: NestedNumbers, what: string): number {
  if (shape.length > 0) throw new TypeError(`${what} is a list, expected a number`);
  return data[0]!;
}

function flatten(value: unknown, what: string): NestedNumbers {
  const shape: number[] = [];
  for (let inner: unknown = value; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  const data: number[] = [];
  const visit = (item: unknown, depth: number): void => {
    if (depth === shape.length) {
      if (typeof item !== 'number') throw new TypeError(`${what} holds ${JSON.stringify(item)}, expected a number`);
      data.push(item);
      return;
    }
    if (!Array.isArray(item) || item.length !== shape[depth]) throw new TypeError(`${what} is ragged`);
    for (const child of item as unknown[]) visit(child, depth + 1);
  };
  visit(value, 0);
  return { data: Float64Array.from(data), shape };
}

/** Everything in golden.json is float64 and derived in closed form or by brute force. */
export const GOLDEN_TOLERANCE = 1e-10;

/** What a float32 device is held to on the same numbers. */
export const GOLDEN_SINGLE_TOLERANCE = 1e-5;

/** The cases whose names start with `prefix`. Without a `check` they are listed as not yet covered. */
export interface GoldenChecker {
  readonly prefix: string;
  readonly check?: (golden: GoldenCase, devices: readonly ParityDevice[]) => Iterable<Result>;
}

/** Cases that no package can compute yet. */
export function waiting(...prefixes: string[]): GoldenChecker[] {
  return prefixes.map((prefix) => ({ prefix }));
}

/** Compares one quantity of a case. */
export interface Agreement {
  /** By the norm of the whole. */
  (quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>): Result;
  /** Every item of `width` numbers by its own norm: where sizes differ widely. */
  each(quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>, width?: number): Result;
}

/** Comparisons of `golden`: of numbers that the host computes in float64, or of those of a device, which is named. */
export function agreement(golden: GoldenCase, on?: ParityDevice): Agreement {
  const named = (quantity: string): string => (on === undefined ? quantity : `${quantity} (${on.name})`);
  const tolerance = on === undefined || on.exact ? GOLDEN_TOLERANCE : GOLDEN_SINGLE_TOLERANCE;
  return Object.assign(
    (quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>): Result =>
      compared(golden.name, named(quantity), relativeError(actual, expected), tolerance),
    {
      each: (quantity: string, actual: ArrayLike<number>, expected: ArrayLike<number>, width = 1): Result =>
        compared(golden.name, named(quantity), largestRelativeError(actual, expected, width), tolerance),
    },
  );
}

/** A number or a flag that must be equal. */
export function exactly(golden: GoldenCase, quantity: string, actual: unknown, expected: unknown): Result {
  const difference =
    typeof actual === 'number' && typeof expected === 'number'
      ? Math.abs(actual - expected)
      : Number(actual !== expected);
  return compared(golden.name, quantity, Number.isNaN(difference) ? Infinity : difference, 0);
}
