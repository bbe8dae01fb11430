/** Seeded uniform numbers for tests (mulberry32): the same cases on every machine. */
export function randomSource(seed: number): () => number {
  let s = seed | 0;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `count` float32-representable numbers in [low, high). */
export function randomValues(random: () => number, count: number, low = -1, high = 1): Float32Array {
  return Float32Array.from({ length: count }, () => low + (high - low) * random());
}

export function randomIntegers(random: () => number, count: number, low: number, high: number): Int32Array {
  return Int32Array.from({ length: count }, () => low + Math.floor((high - low) * random()));
}
