import { afterAll, describe, expect, test } from 'vitest';
import type { Access, Guard, Instruction, Kernel } from '../../src/compile/kernel';
import type { DType } from '../../src/dtype';
import { bareBackend, interpreted, runOn, type TestBuffer } from './bare-backend';

const backend = await bareBackend({ threads: 2 }, 0);
afterAll(() => backend.dispose());

const types: DType[] = ['float32', 'int32', 'bool', 'bfloat16', 'float16'];
const computed = (dtype: DType): 'float32' | 'int32' | 'bool' =>
  dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';

function numbers(dtype: DType, count: number): TestBuffer {
  if (dtype === 'int32' || dtype === 'bool')
    return { dtype, values: Int32Array.from({ length: count }, (_, i) => (dtype === 'bool' ? i % 2 : i - 7)) };
  return { dtype, values: Float64Array.from({ length: count }, (_, i) => (i - 20) / 2) };
}

/** Copies through the two accesses and compares with the interpreter. */
function copies(
  domain: readonly number[],
  dtype: DType,
  load: Omit<Access, 'buffer' | 'dtype'>,
  store: Omit<Access, 'buffer' | 'dtype'>,
  sizes: readonly [number, number],
): void {
  const body: Instruction[] = [{ op: 'load', load: 0, dtype: computed(dtype) }];
  const kernel: Kernel = {
    domain,
    outerDims: domain.length,
    loads: [{ buffer: 0, dtype, ...load }],
    body,
    reduces: [],
    epilogue: [],
    stores: [{ access: { buffer: 1, dtype, ...store }, value: 0, phase: 'body' }],
  };
  const buffers = [numbers(dtype, sizes[0]), numbers(dtype, sizes[1])];
  expect([...runOn(backend, kernel, buffers)[1]]).toEqual([...interpreted(kernel, buffers)[1]]);
}

describe.each(types)('%s', (dtype) => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 31, 33])(
    'contiguous, reversed, strided and broadcast rows of %d',
    (n) => {
      const stored = { offset: 0, strides: [n, 1], guards: [] };
      copies([3, n], dtype, { offset: 1, strides: [n, 1], guards: [] }, stored, [3 * n + 1, 3 * n]);
      copies([3, n], dtype, { offset: n - 1, strides: [n, -1], guards: [] }, stored, [3 * n, 3 * n]);
      copies([3, n], dtype, { offset: 0, strides: [3 * n, 3], guards: [] }, stored, [9 * n, 3 * n]);
      copies([3, n], dtype, { offset: 9 * n - 1, strides: [-3 * n, -3], guards: [] }, stored, [9 * n, 3 * n]);
      copies([3, n], dtype, { offset: 0, strides: [1, 3], guards: [] }, stored, [3 * n, 3 * n]);
      copies([3, n], dtype, { offset: 2, strides: [1, 0], guards: [] }, stored, [5, 3 * n]);
      copies([3, n], dtype, { offset: 2, strides: [0, 0], guards: [] }, stored, [3, 3 * n]);
      copies(
        [3, n],
        dtype,
        { offset: 0, strides: [n, 1], guards: [] },
        { offset: 3 * n - 1, strides: [-n, -1], guards: [] },
        [3 * n, 3 * n],
      );
      copies([3, n], dtype, { offset: 0, strides: [n, 1], guards: [] }, { offset: 2, strides: [1, 4], guards: [] }, [
        3 * n,
        4 * n + 4,
      ]);
    },
  );

  test.each([1, 2, 3, 4, 5, 7, 8, 11, 16, 19])('guards along rows of %d, from any side', (n) => {
    const stored = { offset: 0, strides: [n, 1], guards: [] };
    const guard = (offset: number, strides: number[], size: number): Guard => ({ offset, strides, size });
    for (const before of [0, 1, 2, 3, 5]) {
      for (const after of [0, 1, 4]) {
        const m = n - before - after;
        if (m < 1) continue;
        copies([3, n], dtype, { offset: -before, strides: [m, 1], guards: [guard(-before, [0, 1], m)] }, stored, [
          3 * m,
          3 * n,
        ]);
        copies(
          [3, n],
          dtype,
          { offset: n - 1 - before, strides: [m, -1], guards: [guard(n - 1 - before, [0, -1], m)] },
          stored,
          [3 * m, 3 * n],
        );
        copies(
          [3, n],
          dtype,
          { offset: -2 * before, strides: [2 * m, 2], guards: [guard(-2 * before, [0, 2], 2 * m)] },
          stored,
          [6 * m, 3 * n],
        );
        copies(
          [3, n],
          dtype,
          { offset: 0, strides: [1, 0], guards: [guard(-before, [0, 1], m), guard(-1, [1, 0], 2)] },
          stored,
          [3, 3 * n],
        );
      }
    }
  });

  test('guards along the outer loop', () => {
    for (const n of [1, 3, 4, 9]) {
      copies(
        [6, n],
        dtype,
        { offset: -2 * n, strides: [n, 1], guards: [{ offset: -2, strides: [1, 0], size: 3 }] },
        { offset: 0, strides: [n, 1], guards: [] },
        [3 * n, 6 * n],
      );
      copies(
        [6, n],
        dtype,
        { offset: 0, strides: [n, 1], guards: [] },
        { offset: -2 * n, strides: [n, 1], guards: [{ offset: -2, strides: [1, 0], size: 3 }] },
        [6 * n, 3 * n],
      );
      copies(
        [6, n],
        dtype,
        { offset: 0, strides: [n, 1], guards: [] },
        { offset: -1, strides: [n, 1], guards: [{ offset: -1, strides: [0, 1], size: n }] },
        [6 * n, 6 * n],
      );
    }
  });
});

test('what a guard excludes is not touched: addresses far outside the memory', () => {
  // One element of the loop in range, the others 256 MiB apart: touching them would trap.
  const far = 1 << 26;
  for (const n of [3, 4, 9, 17]) {
    for (const hit of [0, 1, n - 1]) {
      copies(
        [n],
        'float32',
        { offset: -hit * far, strides: [far], guards: [{ offset: -hit, strides: [1], size: 1 }] },
        { offset: 0, strides: [1], guards: [] },
        [1, n],
      );
      copies(
        [n, 5],
        'float32',
        { offset: -hit * far, strides: [far, 1], guards: [{ offset: -hit, strides: [1, 0], size: 1 }] },
        { offset: 0, strides: [5, 1], guards: [] },
        [5, 5 * n],
      );
      copies(
        [n],
        'float32',
        { offset: 0, strides: [1], guards: [] },
        { offset: -hit * far, strides: [far], guards: [{ offset: -hit, strides: [1], size: 1 }] },
        [n, 1],
      );
    }
  }
});

test('transposition of sizes that blocks do not divide', () => {
  for (const [r, c] of [
    [8, 8],
    [40, 50],
    [100, 129],
    [17, 300],
  ]) {
    copies([r, c], 'float32', { offset: 0, strides: [1, r], guards: [] }, { offset: 0, strides: [c, 1], guards: [] }, [
      r * c,
      r * c,
    ]);
    copies(
      [3, r, c],
      'float32',
      { offset: 0, strides: [r * c, 1, r], guards: [] },
      { offset: 0, strides: [r * c, c, 1], guards: [] },
      [3 * r * c, 3 * r * c],
    );
  }
});

test('a scalar kernel', () => {
  copies([], 'float32', { offset: 1, strides: [], guards: [] }, { offset: 0, strides: [], guards: [] }, [2, 1]);
});

test('types that do not fit are refused', () => {
  const at = (dtype: DType, buffer: number): Access => ({ buffer, dtype, offset: 0, strides: [1], guards: [] });
  const kernel = (load: DType, value: 'float32' | 'int32', store: DType): Kernel => ({
    domain: [4],
    outerDims: 1,
    loads: [at(load, 0)],
    body: [{ op: 'load', load: 0, dtype: value }],
    reduces: [],
    epilogue: [],
    stores: [{ access: at(store, 1), value: 0, phase: 'body' }],
  });
  expect(() =>
    runOn(backend, kernel('int32', 'float32', 'float32'), [numbers('int32', 4), numbers('float32', 4)]),
  ).toThrow('loads int32 memory as float32');
  expect(() =>
    runOn(backend, kernel('float32', 'float32', 'int32'), [numbers('float32', 4), numbers('int32', 4)]),
  ).toThrow('stores a float32 value as int32');
  const exp: Kernel = {
    ...kernel('int32', 'int32', 'int32'),
    body: [
      { op: 'load', load: 0, dtype: 'int32' },
      { op: 'exp', args: [0], dtype: 'int32' },
    ],
    stores: [{ access: at('int32', 1), value: 1, phase: 'body' }],
  };
  expect(() => runOn(backend, exp, [numbers('int32', 4), numbers('int32', 4)])).toThrow('exp is not defined for int32');
});
