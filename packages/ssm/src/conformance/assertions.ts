/* What the suite checks with: plain errors, so that it needs no test library. */

export function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message);
}

/** Fails unless both are the same JSON. */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)];
  check(found === wanted, `${what}: ${found}, expected ${wanted}`);
}

/** max |actual − expected| <= tolerance · max |expected| (at least 1e-3 of it counts), and nothing is NaN. */
export function expectClose(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): void {
  check(actual.length === expected.length, `${what}: ${actual.length} values, expected ${expected.length}`);
  let size = 1e-3;
  for (let i = 0; i < expected.length; i++) size = Math.max(size, Math.abs(expected[i]));
  for (let i = 0; i < expected.length; i++) {
    const close = Math.abs(actual[i] - expected[i]) <= tolerance * size;
    check(close, `${what}: value ${i} is ${actual[i]}, expected ${expected[i]} to ${tolerance} of ${size}`);
  }
}

/** ‖actual − expected‖ <= tolerance ‖expected‖, absolute where `expected` is zero; nothing is NaN. */
export function expectNear(
  what: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  /** The norm counts as this at least. */
  least = 0,
): void {
  check(actual.length === expected.length, `${what}: ${actual.length} values, expected ${expected.length}`);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  const error = Math.sqrt(difference) / (Math.max(Math.sqrt(norm), least) || 1);
  check(error <= tolerance, `${what}: off by ${error} of its norm, allowed ${tolerance}`);
}

/** Fails unless `body` throws an error of this class. */
export function expectError(what: string, body: () => unknown, type: abstract new (...args: never) => Error): void {
  let thrown: unknown = null;
  try {
    body();
  } catch (error) {
    thrown = error;
  }
  check(thrown instanceof type, `${what}: ${thrown === null ? 'no error' : String(thrown)}, expected ${type.name}`);
}

/** Seeded uniform numbers in [0, 1) (mulberry32): the same cases on every machine. */
export function randomSource(seed: number): () => number {
  let s = seed | 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
