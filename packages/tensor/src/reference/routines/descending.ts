/** Order of numbers in which the largest comes first, and NaN before it. */
export function descending(x: number, y: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(y)) - Number(Number.isNaN(x));
  return y - x || 0;
}
