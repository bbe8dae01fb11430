import type { DType, Instruction, Kernel, RoutineCall } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { simpleEpilogue } from '../src/epilogue';
import { type OwnPlan, planOwn } from '../src/routines/matmul/own-plan';
import { productOf } from '../src/routines/matmul/product';

const card = { multiprocessors: 132, computeCapability: [9, 0], sharedMemoryPerBlock: 232448 } as const;
/** Of the same size, without the instructions of 9.0. */
const other = { ...card, computeCapability: [10, 0] } as const;

function product(m: number, k: number, n: number, types: readonly [DType, DType], transposeB = true, view?: { offset: number; pitch: number }): RoutineCall {
  return {
    name: 'matmul',
    attributes: { transposeA: false, transposeB },
    inputs: [{ shape: [1, m, k], dtype: types[0], ...(view && { view }) }, { shape: transposeB ? [1, n, k] : [1, k, n], dtype: types[1] }],
    outputs: [{ shape: [1, m, n], dtype: 'float32' }],
  };
}

const plan = (...args: Parameters<typeof product>): OwnPlan => planOwn(productOf(product(...args)), card);
const planOnOther = (...args: Parameters<typeof product>): OwnPlan => planOwn(productOf(product(...args)), other);
const bf16 = ['bfloat16', 'bfloat16'] as const;
const f32 = ['float32', 'float32'] as const;

it('finds the matrices of a part of a batch where the whole has them', () => {
  const call = (shape: readonly [number, number, number], transposeA: boolean): RoutineCall => ({
    name: 'matmul',
    attributes: { transposeA, transposeB: true },
    inputs: [{ shape, dtype: 'float32', view: { offset: 4, pitch: 8 } }, { shape: [2, 5, transposeA ? 6 : shape[2]], dtype: 'float32' }],
    outputs: [{ shape: [2, transposeA ? shape[2] : 6, 5], dtype: 'float32' }],
  });
  expect(productOf(call([2, 6, 4], false))).toMatchObject({ m: 6, k: 4, rowA: 8, strideA: 48 });
  expect(productOf(call([2, 6, 4], true))).toMatchObject({ m: 4, k: 6, rowA: 8, strideA: 48, transposeA: true });
  // A column of the whole is no row.
  expect(productOf(call([2, 6, 1], true))).toMatchObject({ m: 1, k: 6, rowA: 8, strideA: 48, transposeA: true });
});

describe('own kernels of a product', () => {
  it('read b once for few rows', () => {
    expect(plan(1, 768, 50280, ['float32', 'bfloat16']).kernel).toBe('few_rows_f32_bf16_m1r4');
    expect(plan(1, 1536, 80, bf16)).toMatchObject({ kernel: 'few_rows_bf16_bf16_m1r1', lanes: 32, prefetch: true });
    expect(plan(1, 48, 1536, bf16).lanes).toBe(8);
    expect(plan(8, 64, 33, f32)).toMatchObject({ kernel: 'few_rows_f32_f32_m4r1', grid: [5, 2, 1] });
  });

  it('use tensor cores where rows of 16-bit operands are whole vectors', () => {
    expect(plan(4096, 4096, 4096, bf16)).toMatchObject({ kernel: 'bf16_128x128_nt', parts: 1 });
    expect(plan(64, 64, 64, ['float16', 'float16'], false).kernel).toBe('f16_64x64_nn');
    expect(plan(64, 63, 64, bf16).kernel).toBe('any_64x64');
    expect(plan(64, 64, 64, bf16, true, { offset: 0, pitch: 76 }).kernel).toBe('any_64x64');
    expect(plan(64, 64, 64, ['float32', 'bfloat16']).kernel).toBe('any_64x64');
  });

  it('cut long sums where the result alone has too few tiles, without losing terms', () => {
    for (const [types, depth, k] of [[bf16, 32, 20000], [f32, 16, 10000]] as const) {
      const { parts, partK, grid } = plan(64, k, 64, types);
      expect(parts).toBeGreaterThan(1);
      expect(partK % depth).toBe(0);
      expect(parts * partK).toBeGreaterThanOrEqual(k);
      expect((parts - 1) * partK).toBeLessThan(k);
      expect(grid[2]).toBe(parts);
    }
  });

  const gradient = (m: number, n: number, on: Parameters<typeof planOwn>[1]): OwnPlan =>
    planOwn({ ...productOf(product(m, 262144, n, f32, false)), transposeA: true, rowA: m }, on);

  it('split large products of float32 into three of TF32, turned around where that takes fewer tiles', () => {
    expect(planOnOther(262144, 64, 128, f32)).toMatchObject({ kernel: 'three_tf32_nt', grid: [264, 1, 1], parts: 1, swapped: false });
    for (const [m, n, swapped] of [[128, 64, false], [36, 128, true], [64, 128, true], [128, 4, false]] as const) {
      const { kernel, grid, parts, partK, ...rest } = gradient(m, n, other);
      expect(rest.swapped, `${m}×${n}`).toBe(swapped);
      expect([kernel, grid[0], partK % 32]).toEqual(['three_tf32_tn', parts, 0]);
      expect(parts * partK >= 262144 && (parts - 1) * partK < 262144).toBe(true);
    }
    // Few columns, sizes that are no whole vectors, and what is soon done are for other kernels.
    expect(planOnOther(262144, 128, 4, f32).module).toBe('float32');
    expect(plan(262144, 66, 128, f32).module).toBe('float32');
    expect(plan(2048, 64, 256, f32).module).toBe('float32');
  });

  it('keep a small matrix in shared memory on Hopper, and cut long sums between its blocks', () => {
    for (const [k, n, columns] of [[64, 128, 64], [64, 256, 64], [128, 36, 48], [4, 128, 64], [128, 4, 16], [256, 64, 64], [36, 132, 48]] as const) {
      const { kernel, sharedBytes, grid, parts } = plan(262144, k, n, f32);
      expect([kernel, grid, parts], `${k}×${n}`).toEqual([`three_tf32_tall_${columns}`, [132, 1, 1], 1]);
      expect(sharedBytes).toBeLessThanOrEqual(card.sharedMemoryPerBlock);
    }
    for (const [m, n, swapped, tiles, columns] of [[128, 64, false, 1, 64], [36, 128, true, 1, 48], [64, 128, true, 1, 64], [128, 4, false, 1, 16], [256, 64, false, 2, 64]] as const) {
      const { kernel, grid, parts, partK, sharedBytes, ...rest } = gradient(m, n, card);
      expect([kernel, rest.swapped, grid[0], partK % 32], `${m}×${n}`).toEqual([`three_tf32_long_${columns}`, swapped, tiles, 0]);
      expect(grid[1]).toBe(parts);
      expect(parts * partK >= 262144 && (parts - 1) * partK < 262144).toBe(true);
      // Two blocks a multiprocessor, each with a kilobyte for the system.
      expect(2 * (sharedBytes + 1024)).toBeLessThanOrEqual(233472);
    }
    // Views that are no rows of whole vectors, a b that does not fit, fewer rows than warps.
    expect(plan(262144, 64, 128, f32, true, { offset: 0, pitch: 66 }).module).toBe('float32');
    expect(plan(262144, 768, 768, f32).kernel).toBe('three_tf32_nt');
    expect(plan(16384, 64, 128, f32).kernel).toBe('three_tf32_nt');
  });

  it('see rows of equal matrices as one tall product, and views by their pitch', () => {
    const call = product(3, 8, 5, f32);
    const batched = { ...call, inputs: [{ shape: [4, 3, 8], dtype: 'float32' } as const, call.inputs[1]], outputs: [{ shape: [4, 3, 5], dtype: 'float32' } as const] };
    expect(productOf(batched)).toMatchObject({ batch: 1, m: 12, strideA: 0, strideB: 0, rowA: 8 });
    expect(productOf(product(3, 8, 5, f32, true, { offset: 4, pitch: 20 })).rowA).toBe(20);
  });
});

describe('epilogues that routines take', () => {
  const shape = [1, 3, 4];
  const access = (buffer: number, dtype: DType, strides: readonly number[]): Kernel['loads'][number] => ({ buffer, dtype, offset: 0, strides: [...strides], guards: [] });
  const kernel = (body: readonly Instruction[], value: number, stored: DType = 'float32'): Kernel => ({
    ...{ domain: shape, outerDims: 3, body, reduces: [], epilogue: [] },
    loads: [access(0, 'float32', [12, 4, 1]), access(1, 'float32', [0, 0, 1]), access(2, 'float32', [12, 4, 1])],
    stores: [{ access: access(3, stored, [12, 4, 1]), value, phase: 'body' }],
  });
  const load = (index: number): Instruction => ({ op: 'load', load: index, dtype: 'float32' });
  const binary = (op: 'add' | 'sub' | 'mul', a: number, b: number): Instruction => ({ op, args: [a, b], dtype: 'float32' });

  it('bias, activation and residual, in this order', () => {
    const body = [load(0), load(1), binary('add', 1, 0), { op: 'sigmoid', args: [2], dtype: 'float32' } as const, binary('mul', 2, 3), load(2), binary('add', 4, 5)];
    expect(simpleEpilogue(kernel(body, 6), shape)).toEqual({ type: 'float32', bias: 1, activation: 'silu', residual: { buffer: 2, type: 'float32' } });
  });

  it('a cast alone, and nothing that is something else', () => {
    const cast = { op: 'cast', args: [0], to: 'bfloat16', dtype: 'float32' } as const;
    expect(simpleEpilogue(kernel([load(0), cast], 1, 'bfloat16'), shape)).toEqual({ type: 'bfloat16' });
    expect(simpleEpilogue(kernel([load(0), cast], 1, 'float32'), shape)).toBeNull();
    expect(simpleEpilogue(kernel([load(0), load(2), binary('sub', 0, 1)], 2), shape)).toBeNull();
    expect(simpleEpilogue(kernel([load(0), load(0), binary('add', 0, 1)], 2), shape)).toBeNull();
  });
});
