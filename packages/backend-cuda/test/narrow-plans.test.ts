import type { Program, Slot } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { unwrittenInputs } from '../src/plan-launches';
import { type NarrowPlan, planNarrow, prefersNarrow, takesNarrow } from '../src/routines/matmul/narrow-plan';
import type { Product } from '../src/routines/matmul/product';

const hopper = { multiprocessors: 132, computeCapability: [9, 0], sharedMemoryPerBlock: 232_448 } as const;
const ada = { multiprocessors: 58, computeCapability: [8, 9], sharedMemoryPerBlock: 101_376 } as const;

function product(m: number, k: number, n: number, changed: Partial<Product> = {}): Product {
  const types = { typeA: 'bfloat16', storedA: 'bfloat16', typeB: 'bfloat16', typeOut: 'float32' } as const;
  return { batch: 1, m, n, k, transposeA: false, transposeB: true, strideA: 0, strideB: 0, rowA: k, ...types, ...changed };
}

describe('products of 9 to 64 rows', () => {
  it('are bfloat16 against a transposed matrix, with rows of whole vectors', () => {
    expect(takesNarrow(product(64, 2048, 8192))).toBe(true);
    expect(takesNarrow(product(9, 8, 5, { rowA: 12, storedA: 'float32' }))).toBe(true);
    for (const p of [product(8, 64, 64), product(65, 64, 64), product(64, 60, 64), product(64, 64, 64, { rowA: 68 }), product(64, 64, 64, { transposeB: false }), product(64, 64, 64, { typeA: 'float32' })]) {
      expect(takesNarrow(p)).toBe(false);
    }
  });

  it('are preferred to the library where they were measured, and have a multiprocessor for every tile', () => {
    expect(prefersNarrow(product(64, 2048, 8192), hopper)).toBe(true);
    expect(prefersNarrow(product(64, 2048, 50_280), hopper)).toBe(false);
    expect(prefersNarrow(product(64, 2048, 8192), ada)).toBe(false);
  });

  it('of a decode step of mamba-1.4b are laid out as they were fastest', () => {
    const plan = (...args: Parameters<typeof product>): NarrowPlan => planNarrow(product(...args), hopper);
    expect(plan(64, 2048, 8192)).toMatchObject({ kernel: 'narrow_stream_n1_m64', grid: [1, 128, 1], stages: 13, cluster: 1, prefetch: 0 });
    expect(plan(64, 4096, 2048)).toMatchObject({ kernel: 'narrow_stream_n2_m64', grid: [4, 16, 1], stages: 9, cluster: 4, prefetch: 7 });
    expect(plan(64, 4096, 160)).toMatchObject({ kernel: 'narrow_stream_n1_m64', grid: [8, 3, 1], stages: 7, cluster: 8, prefetch: 0 });
    expect(plan(64, 128, 4096, { storedA: 'float32' })).toMatchObject({ kernel: 'narrow_f32_n32x1_m32x1', grid: [1, 128, 2], stages: 4, streams: false });
  });

  it('lose no terms and fit the card', () => {
    for (const card of [hopper, ada]) {
      for (const m of [9, 16, 17, 33, 64]) {
        for (const [k, n] of [[8, 5], [72, 33], [1000, 2047], [2048, 8192], [4096, 160], [2560, 10_240], [5120, 2560], [2048, 50_280]]) {
          for (const storedA of ['bfloat16', 'float32'] as const) {
            const { kernel, grid, parts, partK, sharedBytes, stages, streams, tile, cluster, hopper: image } = planNarrow(product(m, k, n, { storedA }), card);
            const label = `${m} ${k} ${n} ${kernel}`;
            expect(parts * partK, label).toBeGreaterThanOrEqual(k);
            expect(parts === 1 || (partK % 64 === 0 && (parts - 1) * partK < k), label).toBe(true);
            expect(grid[1] * tile[0] >= n && grid[2] * tile[1] >= m, label).toBe(true);
            expect(grid[0], label).toBe(parts);
            expect(sharedBytes, label).toBeLessThanOrEqual(card.sharedMemoryPerBlock);
            // The result's tile takes the ring's place.
            expect(sharedBytes, label).toBeGreaterThanOrEqual(tile[1] * (tile[0] + 4) * 4);
            expect(streams ? stages >= 2 : [4, 6, 12].includes(stages), label).toBe(true);
            expect([image, streams], label).toEqual([card === hopper, card === hopper && storedA === 'bfloat16']);
            expect(cluster, label).toBe(image ? parts : 1);
          }
        }
      }
    }
  });
});

it('inputs that no earlier step writes may be read before the kernel in front has ended', () => {
  const spec = { shape: [4], dtype: 'float32' } as const;
  const routine = (inputs: readonly (number | null)[], outputs: readonly number[]): Program['steps'][number] => ({
    kind: 'routine', call: { name: 'argmax', attributes: {}, inputs: inputs.map(() => spec), outputs: outputs.map(() => spec) }, inputs, outputs, scratch: null,
  });
  const slots = Array.from({ length: 5 }, (_, i): Slot => ({ kind: i < 4 ? 'external' : 'arena', bytes: 16, offset: 0 }));
  // 0 is a weight, 1 a state that is updated in place, 4 a temporary.
  const steps = [routine([0, 1, null], [1, 4]), routine([0, 1, 4], [2]), routine([3, 2], [3])];
  expect(unwrittenInputs({ key: '', slots, steps, arenaBytes: 16, externals: [0, 1, 2, 3] })).toEqual([[true, true, false], [true, false, false], [true, false]]);
});
