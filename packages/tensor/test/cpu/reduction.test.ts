import { afterAll, expect, test } from 'vitest';
import type { Access, Instruction, Kernel, ReduceOp } from '../../src/compile/kernel';
import type { ComputeType } from '../../src/dtype';
import { bareBackend, interpreted, randomSource, runOn, type TestBuffer } from './bare-backend';

const backends = await Promise.all([1, 2, 3].map((threads) => bareBackend({ threads }, 0)));
afterAll(() => backends.forEach((b) => b.dispose()));

const access = (buffer: number, strides: readonly number[], dtype: ComputeType = 'float32'): Access => ({
  buffer,
  dtype,
  offset: 0,
  strides,
  guards: [],
});

function reduction(
  domain: readonly number[],
  outerDims: number,
  strides: readonly number[],
  outStrides: readonly number[],
  op: ReduceOp,
  dtype: ComputeType,
): Kernel {
  return {
    domain,
    outerDims,
    loads: [access(0, strides, dtype)],
    body: [{ op: 'load', load: 0, dtype }],
    reduces: [{ op, value: 0, dtype }],
    epilogue: [{ op: 'reduced', reduce: 0, dtype }],
    stores: [
      {
        access: access(1, [...outStrides, ...strides.slice(outerDims).map(() => 0)], dtype),
        value: 1,
        phase: 'epilogue',
      },
    ],
  };
}

function input(count: number, dtype: ComputeType): TestBuffer {
  const random = randomSource(count);
  // Multiples of 1/8 whose sums are exact in float32: the layouts differ in the order of addition, not in the result.
  const value = (): number => Math.floor(random() * 17) - 8;
  return {
    dtype,
    values:
      dtype === 'int32'
        ? Int32Array.from({ length: count }, value)
        : Float64Array.from({ length: count }, () => value() / 8),
  };
}

const layouts: [string, number[], number, (d: number[]) => number[]][] = [];
for (const n of [1, 2, 3, 4, 5, 8, 16, 17, 31, 64, 100]) {
  layouts.push([`rows of ${n}`, [7, n], 1, ([, c]) => [c, 1]]);
  layouts.push([`columns of ${n}`, [7, n], 1, ([r]) => [1, r]]);
  layouts.push([`${n} columns`, [n, 9], 1, ([r]) => [1, r]]);
}
layouts.push(
  ['everything', [100000], 0, () => [1]],
  ['everything, odd', [99991], 0, () => [1]],
  ['everything, strided', [40000], 0, () => [3]],
  ['two reduced loops', [5, 12, 33], 1, () => [396, 33, 1]],
  ['middle loop', [6, 33, 12], 2, () => [396, 1, 33]],
  ['outer and inner reduced', [10, 300, 7], 1, () => [7, 70, 1]],
  ['long columns, sliced', [60, 4000], 1, () => [1, 60]],
  ['long odd columns, sliced', [37, 5003], 1, () => [1, 37]],
  ['columns of a 3-d array', [3, 20, 2000], 2, () => [40000, 1, 20]],
  ['one column', [1, 70000], 1, () => [0, 2]],
  ['few long rows, sliced', [3, 50001], 1, () => [50001, 1]],
);

test.each(layouts)('%s', (_, domain, outerDims, stridesOf) => {
  const strides = stridesOf(domain);
  const count = 1 + strides.reduce((sum, s, d) => sum + s * (domain[d] - 1), 0);
  const outputs = domain.slice(0, outerDims).reduce((a, b) => a * b, 1);
  const outStrides = domain
    .slice(0, outerDims)
    .map((__, d) => domain.slice(d + 1, outerDims).reduce((a, b) => a * b, 1));
  for (const dtype of ['float32', 'int32'] as const) {
    for (const op of ['sum', 'max'] as const) {
      const kernel = reduction(domain, outerDims, strides, outStrides, op, dtype);
      const buffers = [
        input(count, dtype),
        { dtype, values: dtype === 'int32' ? new Int32Array(outputs) : new Float64Array(outputs) },
      ];
      const want = [...interpreted(kernel, buffers)[1]];
      for (const backend of backends)
        expect([...runOn(backend, kernel, buffers)[1]], `${op} of ${dtype} on ${backend.description}`).toEqual(want);
    }
  }
});

test('the sum of many numbers keeps float32 accuracy, and the same bits on any number of threads', () => {
  const count = 1 << 20;
  const random = randomSource(1);
  const values = Float64Array.from({ length: count }, () => Math.fround(random()));
  const exact = values.reduce((a, b) => a + b, 0);
  const results = backends.map(
    (b) =>
      runOn(b, reduction([count], 0, [1], [], 'sum', 'float32'), [
        { dtype: 'float32', values },
        { dtype: 'float32', values: new Float64Array(1) },
      ])[1][0],
  );
  expect(Math.abs(results[0] / exact - 1)).toBeLessThan(3e-7);
  expect(results).toEqual([results[0], results[0], results[0]]);
  const mixed = values.map((v, i) => Math.fround(v * (i % 3) - 0.7));
  for (const domain of [
    [1, count],
    [64, count / 64],
    [1024, 1024],
  ]) {
    for (const strides of [
      [domain[1], 1],
      [1, domain[0]],
    ]) {
      const outs = backends.map((b) => [
        ...runOn(b, reduction(domain, 1, strides, [1], 'sum', 'float32'), [
          { dtype: 'float32', values: mixed },
          { dtype: 'float32', values: new Float64Array(domain[0]) },
        ])[1],
      ]);
      expect(outs[1]).toEqual(outs[0]);
      expect(outs[2]).toEqual(outs[0]);
    }
  }
});

test.each([
  [3, 5],
  [3, 64],
  [64, 3],
  [2, 40000],
])('max of %d x %d propagates NaN and knows infinities', (rows, columns) => {
  const values = Float64Array.from({ length: rows * columns }, (_, i) => (i % columns) - columns);
  values[columns - 2] = NaN;
  values.fill(-Infinity, columns, 2 * columns);
  for (const strides of [
    [columns, 1],
    [1, rows],
  ]) {
    const kernel = reduction([rows, columns], 1, strides, [1], 'max', 'float32');
    const buffers = [
      { dtype: 'float32' as const, values },
      { dtype: 'float32' as const, values: new Float64Array(rows) },
    ];
    for (const backend of backends)
      expect([...runOn(backend, kernel, buffers)[1]]).toEqual([...interpreted(kernel, buffers)[1]]);
  }
});

test('several reductions, stores of both phases, an epilogue that loads, and values that only it uses', () => {
  for (const [rows, columns] of [
    [5, 7],
    [16, 64],
    [3, 30000],
  ]) {
    for (const strides of [
      [columns, 1],
      [1, rows],
    ]) {
      const body: Instruction[] = [
        { op: 'load', load: 0, dtype: 'float32' },
        { op: 'mul', args: [0, 0], dtype: 'float32' },
        { op: 'load', load: 1, dtype: 'float32' },
        { op: 'index', offset: 3, strides: [2, 0], dtype: 'int32' },
      ];
      const epilogue: Instruction[] = [
        { op: 'reduced', reduce: 0, dtype: 'float32' },
        { op: 'reduced', reduce: 1, dtype: 'float32' },
        { op: 'const', value: 0.5, dtype: 'float32' },
        { op: 'mul', args: [5, 6], dtype: 'float32' },
        { op: 'add', args: [7, 4], dtype: 'float32' },
        { op: 'load', load: 1, dtype: 'float32' },
        { op: 'add', args: [8, 9], dtype: 'float32' },
        { op: 'sub', args: [10, 2], dtype: 'float32' },
      ];
      const kernel: Kernel = {
        domain: [rows, columns],
        outerDims: 1,
        loads: [access(0, strides), access(1, [1, 0])],
        body,
        reduces: [
          { op: 'sum', value: 0, dtype: 'float32' },
          { op: 'max', value: 1, dtype: 'float32' },
        ],
        epilogue,
        stores: [
          { access: access(2, strides), value: 1, phase: 'body' },
          { access: access(3, [1, 0]), value: 11, phase: 'epilogue' },
          { access: access(4, [1, 0]), value: 4, phase: 'epilogue' },
          { access: access(5, [1, 0], 'int32'), value: 3, phase: 'epilogue' },
        ],
      };
      const zeros = (n: number): TestBuffer => ({ dtype: 'float32', values: new Float64Array(n) });
      const buffers = [
        input(rows * columns, 'float32'),
        input(rows, 'float32'),
        zeros(rows * columns),
        zeros(rows),
        zeros(rows),
        { dtype: 'int32' as const, values: new Int32Array(rows) },
      ];
      const want = interpreted(kernel, buffers).map((v) => [...v]);
      for (const backend of backends) expect(runOn(backend, kernel, buffers).map((v) => [...v])).toEqual(want);
    }
  }
});

test('an epilogue that varies along a reduced loop is refused', () => {
  const kernel = reduction([4, 4], 1, [4, 1], [1], 'sum', 'float32');
  const bad: Kernel = { ...kernel, epilogue: [{ op: 'add', args: [0, 0], dtype: 'float32' }] };
  expect(() => runOn(backends[0], bad, [input(16, 'float32'), input(4, 'float32')])).toThrow(
    'varies along a reduced dimension',
  );
});
