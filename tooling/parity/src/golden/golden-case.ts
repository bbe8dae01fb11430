import type { Result } from '../family';

/** One entry of golden.json. Complex numbers are `[re, im]`; arrays are nested lists. */
export class GoldenCase {
  private readonly unread: Set<string>;

  constructor(
    readonly name: string,
    private readonly inputs: Readonly<Record<string, unknown>>,
    private readonly outputs: Readonly<Record<string, unknown>>,
  ) {
    this.unread = new Set(Object.keys(outputs));
  }

  /** An input list, flat. */
  input(name: string): NestedNumbers {
    return flatten(this.inputs[name], `input ${name} of ${this.name}`);
  }

  /** An output list, flat; the output then counts as compared. */
  output(name: string): NestedNumbers {
    this.unread.delete(name);
    return flatten(this.outputs[name], `output ${name} of ${this.name}`);
  }

  /** A number of an output that is an object of lists. */
  outputGroup(name: string): Readonly<Record<string, NestedNumbers>> {
    this.unread.delete(name);
    const group = this.outputs[name];
    if (typeof group !== 'object' || group === null || Array.isArray(group)) {
      throw new TypeError(`output ${name} of ${this.name} is no object`);
    }
    return Object.fromEntries(
      Object.entries(group).map(([key, value]) => [key, flatten(value, `output ${name}.${key} of ${this.name}`)]),
    );
  }

  /** Outputs that no check has asked for. */
  leftOver(): string[] {
    return [...this.unread];
  }
}

/** A nested list as one array in row-major order. */
export interface NestedNumbers {
  readonly data: Float64Array;
  readonly shape: readonly number[];
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

/** The cases whose names start with `prefix`. Without a `check` they are listed as not yet covered. */
export interface GoldenChecker {
  readonly prefix: string;
  readonly check?: (golden: GoldenCase) => Iterable<Result>;
}

/** Cases that no package can compute yet. */
export function waiting(...prefixes: string[]): GoldenChecker[] {
  return prefixes.map((prefix) => ({ prefix }));
}
