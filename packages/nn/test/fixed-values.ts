/** `count` numbers in (−1, 1) that depend on `seed` alone. */
export function fixedValues(count: number, seed: number): Float64Array {
  // float32 numbers: the same on every device.
  return Float64Array.from({ length: count }, (_, i) => Math.fround(Math.sin(12.9898 * (i + 1) + 78.233 * seed)));
}
