/** Norm of the difference over the norm of `expected`; over 1 where `expected` is all zero. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  const error = norm === 0 ? Math.sqrt(difference) : Math.sqrt(difference / norm);
  return Number.isFinite(error) ? error : Infinity;
}

/** How many places differ; every place past the shorter one does. */
export function differingPlaces(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const shorter = Math.min(actual.length, expected.length);
  let count = Math.max(actual.length, expected.length) - shorter;
  for (let i = 0; i < shorter; i++) if (actual[i] !== expected[i]) count++;
  return count;
}

/** 0 where two texts are equal, else 1. */
export function inequality(actual: string, expected: string): number {
  return actual === expected ? 0 : 1;
}
