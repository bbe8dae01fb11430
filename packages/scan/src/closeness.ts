import type { FloatArray } from './types';

/** Numbers below this are as good as 0: what has decayed so far may underflow in float32. */
const negligible = 1e-25;

/** Throws unless `actual` is `expected` within `tolerance`, relative to the norm and to the largest element. */
export function expectClose(name: string, actual: FloatArray, expected: FloatArray, tolerance: number): void {
  if (actual.length !== expected.length)
    throw new Error(`${name} has ${actual.length} elements, expected ${expected.length}`);
  let difference = 0;
  let norm = 0;
  let largest = 0;
  let worst = 0;
  let at = 0;
  expected.forEach((value, index) => {
    const error = Math.abs(actual[index] - value);
    difference += error * error;
    norm += value * value;
    largest = Math.max(largest, Math.abs(value));
    if (!(error <= worst)) {
      worst = error;
      at = index;
    }
  });
  const relative = Math.sqrt(difference / norm);
  const fits =
    Math.sqrt(difference) <= tolerance * Math.sqrt(norm) + negligible && worst <= 10 * tolerance * largest + negligible;
  if (!fits) {
    const element = `element ${at} is ${actual[at]}, expected ${expected[at]}`;
    throw new Error(
      `${name}: relative difference ${relative.toExponential(2)}, expected at most ${tolerance}; ${element}`,
    );
  }
}

/** Throws unless both arrays have the same bits (any NaN equals any NaN). */
export function expectSameBits(name: string, actual: Float32Array, expected: Float32Array): void {
  const at = expected.findIndex((value, index) => !Object.is(value, actual[index]));
  if (actual.length !== expected.length || at >= 0) {
    throw new Error(`${name}: element ${at} is ${actual[at]}, expected exactly ${expected[at]}`);
  }
}
