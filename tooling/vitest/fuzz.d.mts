/** A seeded generator of numbers in [0, 1). */
export function seededRandom(seed: number): () => number;

/** Seeded changes of inputs: of any bytes, of any text of JSON, of any value that JSON can hold. */
export class Mutator {
  constructor(seed: number);
  /** A number in [0, 1). */
  random(): number;
  /** An integer in [0, limit). */
  below(limit: number): number;
  pick<T>(list: readonly T[]): T;
  /** Bits flipped, bytes replaced, cut out, put in, doubled, or the end cut off. */
  bytes(seed: Uint8Array): Uint8Array;
  /** Tokens of a JSON text replaced, dropped, doubled, swapped; or its bytes changed. */
  jsonText(text: string): string;
  /**
   * One to three changes of a value that stays well-formed: a place in it gets another value, one of its siblings', one of `values`, or
   * vanishes; objects get a field more. The given value is not changed.
   */
  json<T>(value: T, values?: readonly unknown[]): unknown;
}

/** What a run of mutations found. */
export interface FuzzReport {
  readonly accepted: number;
  /** Refusals by the code or name of their error. */
  readonly refused: ReadonlyMap<string, number>;
  /** How much the heap grew at most, in bytes. */
  readonly heapGrowth: number;
  /** The slowest input, in ms. */
  readonly slowest: number;
  readonly seconds: number;
}

/**
 * Feeds `count` inputs to `read`, which returns for those that it accepts and throws for the others. An error that is none of `typed` ends the run
 * with an error that shows the input.
 */
export function fuzz<T>(options: {
  readonly count: number;
  readonly input: (index: number) => T;
  readonly read: (input: T) => void | Promise<void>;
  readonly typed: readonly (abstract new (...args: never[]) => Error)[];
  /** How the input is shown in a failure. Default: JSON, bytes in base64. */
  readonly show?: (input: T) => string;
}): Promise<FuzzReport>;
