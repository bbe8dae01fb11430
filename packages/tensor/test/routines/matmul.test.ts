import { expect, it } from 'vitest';
import { matmul } from '../../src/cpu/routines/matmul';
import { gather } from '../../src/cpu/routines/gather';
import { gather as gatherOracle } from '../../src/reference/routines/gather';
import { matmul as oracle } from '../../src/reference/routines/matmul';
import { complaints, f32, Noise, routineCall } from './harness';

interface Case {
  readonly batchA?: number;
  readonly batchB?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Storage type of b. */
  readonly half?: 'bfloat16' | 'float16';
}

function check({ batchA = 1, batchB = 1, m, n, k, transposeA = false, transposeB = false, half }: Case): string[] {
  const noise = new Noise(m * 31 + n * 7 + k);
  const a = noise.floats(batchA * m * k);
  const b = half ? noise.halves(batchB * k * n, half) : noise.floats(batchB * k * n);
  const shapeB = [batchB, ...(transposeB ? [n, k] : [k, n])];
  const inputs = [f32(batchA, ...(transposeA ? [k, m] : [m, k])), { shape: shapeB, dtype: half ?? 'float32' } as const];
  const call = routineCall('matmul', inputs, [f32(Math.max(batchA, batchB), m, n)], { transposeA, transposeB });
  return complaints(matmul, oracle, call, [a, b], { tolerance: 2e-6 * Math.sqrt(k + 1) + 1e-7 * k });
}

const layouts = [false, true].flatMap((transposeA) => [false, true].map((transposeB) => ({ transposeA, transposeB })));

it('multiplies small matrices of every size and layout', () => {
  const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 25];
  const found: string[] = [];
  for (const layout of layouts) {
    for (const m of sizes)
      for (const n of sizes) for (const k of [1, 2, 3, 5, 16, 19]) found.push(...check({ m, n, k, ...layout }));
  }
  expect(found).toEqual([]);
});

it.each([
  [97, 260, 300],
  [100, 36, 128],
  [64, 70, 515],
  [13, 513, 257],
  [193, 9, 1030],
  [1, 1000, 300],
  [300, 1, 1000],
  [2, 4100, 70],
  [700, 2, 65],
  [16, 16, 2048],
  [11, 300, 77],
  [12, 8200, 5],
  [1, 8201, 6],
])('multiplies (%i x %i) with %i terms in every layout', (m, n, k) => {
  for (const layout of layouts) expect(check({ m, n, k, ...layout })).toEqual([]);
});

it('multiplies batches, and broadcasts either operand', () => {
  const found: string[] = [];
  for (const layout of layouts) {
    for (const [batchA, batchB] of [
      [5, 5],
      [1, 5],
      [5, 1],
      [9, 9],
      [2, 1],
      [1, 2],
    ]) {
      for (const [m, n, k] of [
        [1, 7, 9],
        [3, 40, 33],
        [17, 19, 23],
        [64, 33, 70],
        [130, 1, 60],
        [2, 35, 61],
        [7, 2, 40],
      ]) {
        found.push(...check({ batchA, batchB, m, n, k, ...layout }));
      }
    }
  }
  expect(found).toEqual([]);
});

it('gives 0 for a sum of no terms, and takes empty results', () => {
  for (const layout of layouts) {
    for (const [m, n, k] of [
      [5, 6, 0],
      [1, 6, 0],
      [6, 1, 0],
      [20, 20, 0],
      [0, 5, 3],
      [5, 0, 3],
      [0, 0, 0],
      [30, 30, 0],
    ]) {
      expect(check({ m, n, k, ...layout })).toEqual([]);
      expect(check({ batchA: 3, batchB: 3, m, n, k, ...layout })).toEqual([]);
    }
    expect(check({ batchA: 0, batchB: 0, m: 4, n: 5, k: 6, ...layout })).toEqual([]);
  }
});

it('reads b in bfloat16 and float16, in every size and layout', () => {
  const found: string[] = [];
  for (const half of ['bfloat16', 'float16'] as const) {
    for (const layout of layouts) {
      for (const m of [1, 2, 7, 11, 20])
        for (const n of [1, 5, 8, 19]) for (const k of [0, 1, 7, 16, 21]) found.push(...check({ m, n, k, half, ...layout }));
      for (const [m, n, k] of [[1, 1000, 300], [2, 300, 515], [97, 260, 300], [13, 513, 257]]) found.push(...check({ m, n, k, half, ...layout }));
      for (const m of [1, 2, 17]) found.push(...check({ batchA: 3, batchB: 3, m, n: 19, k: 23, half, ...layout }), ...check({ batchA: 3, m, n: 19, k: 23, half, ...layout }));
    }
  }
  expect(found).toEqual([]);
});

it('widens every float16 exactly, infinities and NaN too', () => {
  const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
  for (const n of [65536, 1]) {
    const call = routineCall('gather', [{ shape: [n, 65536 / n], dtype: 'float16' }, { shape: [n], dtype: 'int32' }], [f32(n, 65536 / n)]);
    expect(complaints(gather, gatherOracle, call, [every, Int32Array.from({ length: n }, (_, i) => i)], { tolerance: 0 })).toEqual([]);
  }
});
