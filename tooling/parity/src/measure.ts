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

/**
 * The largest error of an item of `width` numbers, each over its own norm; over 1 where that is zero. For numbers of
 * very different sizes, of which the norm of the whole sees only the largest.
 */
export function largestRelativeError(actual: ArrayLike<number>, expected: ArrayLike<number>, width = 1): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let start = 0; start < expected.length; start += width) {
    const item = (from: ArrayLike<number>): number[] => Array.from({ length: width }, (_, i) => from[start + i]!);
    largest = Math.max(largest, relativeError(item(actual), item(expected)));
  }
  return largest;
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
