import { describe, expect, it } from 'vitest';
import type { Problem } from '../src/routines/matmul/problem';
import { tileBytes, tileThreads } from '../src/routines/matmul/tile';
import { tilingOf } from '../src/routines/matmul/tiling';

const product = (m: number, k: number, n: number, batch = 1): Problem => {
  const factor = { dtype: 'float32', k, shared: batch === 1, offset: 0, vectors: true } as const;
  return { batch, m, n, k, a: { ...factor, name: 'a', outer: m, along: 'k', pitch: k }, b: { ...factor, name: 'b', outer: n, along: 'outer', pitch: n } };
};

describe('tiles of a product', () => {
  it('large products take large tiles and leave k whole', () => {
    for (const size of [2048, 4096]) expect(tilingOf(product(size, size, size), 49152, 1024)).toMatchObject({ tile: { m: 128, n: 128 }, slices: 1 });
  });

  it('a long k with few tiles is cut into slices', () => {
    for (const [m, k, n] of [[768, 16384, 3072], [256, 262144, 64], [64, 4096, 64]]) expect(tilingOf(product(m, k, n), 49152, 1024).slices, `${m}x${k}x${n}`).toBeGreaterThan(4);
  });

  it('many small products need no slices', () => {
    expect(tilingOf(product(64, 512, 64, 1024), 49152, 1024).slices).toBe(1);
  });

  it.each([
    [16384, 256],
    [32768, 128],
    [49152, 64],
  ])('%i bytes of workgroup memory and %i invocations are enough', (bytes, invocations) => {
    for (const size of [1, 33, 500, 4096]) {
      const { tile } = tilingOf(product(size, size, size), bytes, invocations);
      expect(tileBytes(tile)).toBeLessThanOrEqual(bytes);
      expect(tileThreads(tile)).toBeLessThanOrEqual(invocations);
    }
  });

  it('names the limits that no tile fits', () => {
    expect(() => tilingOf(product(8, 8, 8), 1024, 256)).toThrow(/1024 bytes/);
  });
});
