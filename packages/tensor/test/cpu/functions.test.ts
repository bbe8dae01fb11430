import { afterAll, describe, expect, test } from 'vitest';
import type { BinaryOp, Instruction, Kernel, UnaryOp } from '../../src/compile/kernel';
import type { ComputeType } from '../../src/dtype';
import { unaryFunctions } from '../../src/reference/scalar-functions';
import { bareBackend, interpreted, randomSource, runOn } from './bare-backend';

const backends = [await bareBackend({ threads: 1, relaxed: false }), await bareBackend({ threads: 1 })];
afterAll(() => backends.forEach((b) => b.dispose()));

function elementwise(count: number, inputs: readonly ComputeType[], last: Instruction): Kernel {
  const at = (buffer: number, dtype: ComputeType): Kernel['loads'][number] => ({
    buffer,
    dtype,
    offset: 0,
    strides: [1],
    guards: [],
  });
  return {
    domain: [count],
    outerDims: 1,
    loads: inputs.map((dtype, i) => at(i, dtype)),
    body: [...inputs.map((dtype, load): Instruction => ({ op: 'load', load, dtype })), last],
    reduces: [],
    epilogue: [],
    stores: [{ access: at(inputs.length, last.dtype), value: inputs.length, phase: 'body' }],
  };
}

const typed = (dtype: ComputeType, values: ArrayLike<number>): Float64Array | Int32Array =>
  dtype === 'float32' ? Float64Array.from(values, Math.fround) : Int32Array.from(values);

const uniform = (low: number, high: number, count: number, seed = 1): number[] => {
  const random = randomSource(seed);
  return Array.from({ length: count }, () => Math.fround(low + (high - low) * random()));
};
/** Magnitudes spread evenly over exponents, both signs. */
const logarithmic = (low: number, high: number, count: number): number[] => {
  const random = randomSource(7);
  return Array.from({ length: count }, () =>
    Math.fround((random() < 0.5 ? -1 : 1) * 2 ** (low + (high - low) * random())),
  );
};
const tiny = logarithmic(-40, 0, 4000);
const anywhere = logarithmic(-148, 127.9, 6000);

/** Inputs over which the maximum relative error holds. */
const domains: [UnaryOp, number, number[]][] = [
  ['exp', 1.5e-7, [...uniform(-87.3, 88.7, 20000), ...tiny]],
  ['expm1', 2e-7, [...uniform(-20, 88.7, 20000), ...uniform(-1, 1, 20000), ...tiny]],
  ['log', 2e-7, [...anywhere.map(Math.abs), ...uniform(0.5, 2, 20000)]],
  ['log1p', 2e-7, [...uniform(-0.999999, 3, 20000), ...tiny.filter((x) => x > -1), ...anywhere.map(Math.abs)]],
  ['sqrt', 1e-7, anywhere.map(Math.abs)],
  ['rsqrt', 1.5e-7, anywhere.map(Math.abs)],
  ['reciprocal', 1e-7, logarithmic(-125, 125, 4000)],
  ['sin', 1.5e-7, [...uniform(-10, 10, 20000), ...uniform(-1e5, 1e5, 20000), ...tiny]],
  ['cos', 1.5e-7, [...uniform(-10, 10, 20000), ...uniform(-1e5, 1e5, 20000), ...tiny]],
  ['tanh', 2.5e-7, [...uniform(-12, 12, 20000), ...tiny]],
  ['erf', 2e-7, [...uniform(-5, 5, 20000), ...tiny]],
  ['sigmoid', 2.5e-7, [...uniform(-86, 100, 20000), ...tiny]],
  ['softplus', 2.5e-7, [...uniform(-86, 40, 20000), ...tiny]],
  ['neg', 0, anywhere],
  ['abs', 0, anywhere],
  ['sign', 0, anywhere],
  ['floor', 0, [...anywhere, ...uniform(-9, 9, 100)]],
];

describe.each(backends.map((b) => [b.description, b] as const))('%s', (_, backend) => {
  test.each(domains)('%s has a relative error of at most %f', (op, limit, inputs) => {
    const count = inputs.length;
    const kernel = elementwise(count, ['float32'], { op, args: [0], dtype: 'float32' });
    const x = typed('float32', inputs);
    const [, got] = runOn(backend, kernel, [
      { dtype: 'float32', values: x },
      { dtype: 'float32', values: new Float64Array(count) },
    ]);
    let worst = 0;
    let where = 0;
    for (let i = 0; i < count; i++) {
      const want = unaryFunctions[op](x[i]);
      const normal = Math.max(Math.abs(want), 2 ** -126);
      const error = Math.fround(want) === got[i] && limit > 0 ? 0 : Math.abs(got[i] - want) / normal;
      if (!(error <= worst)) [worst, where] = [error, i];
    }
    expect(
      worst,
      `${op}(${x[where]}) gave ${got[where]}, expected ${unaryFunctions[op](x[where])}`,
    ).toBeLessThanOrEqual(limit);
  });

  test('large angles stay in range and finite', () => {
    const x = logarithmic(20, 127, 4000);
    for (const op of ['sin', 'cos'] as const) {
      const kernel = elementwise(x.length, ['float32'], { op, args: [0], dtype: 'float32' });
      const [, got] = runOn(backend, kernel, [
        { dtype: 'float32', values: typed('float32', x) },
        { dtype: 'float32', values: new Float64Array(x.length) },
      ]);
      expect([...got].every((v) => Math.abs(v) <= 1.0000001)).toBe(true);
    }
  });

  const inf = Infinity;
  const nan = NaN;
  const specials = [0, -0, inf, -inf, nan, 1, -1, 89, -104, 1e-45, 3.4e38, -3.4e38, 20, 20.000002];
  test.each(domains.map(([op]) => op))('%s of special values', (op) => {
    const n = specials.length;
    const kernel = elementwise(n, ['float32'], { op, args: [0], dtype: 'float32' });
    const [, got] = runOn(backend, kernel, [
      { dtype: 'float32', values: typed('float32', specials) },
      { dtype: 'float32', values: new Float64Array(n) },
    ]);
    specials.forEach((x, i) => {
      const arg = Math.fround(x);
      const want = Math.fround(unaryFunctions[op](arg));
      // Angles beyond the reduction's range have no accurate result.
      if ((op === 'sin' || op === 'cos') && Math.abs(x) > 1e9 && Number.isFinite(x))
        return expect(Math.abs(got[i])).toBeLessThanOrEqual(1.0000001);
      const message = `${op}(${Object.is(x, -0) ? '-0' : arg}) gave ${got[i]}, expected ${want}`;
      if (!Number.isFinite(want) || want === 0)
        expect(got[i] === want || (Number.isNaN(want) && Number.isNaN(got[i])), message).toBe(true);
      else expect(Math.abs(got[i] - want), message).toBeLessThanOrEqual(Math.max(3e-7 * Math.abs(want), 3e-45));
    });
  });

  test.each(['add', 'sub', 'mul', 'div', 'min', 'max', 'lt', 'le', 'eq', 'ne', 'pow'] as BinaryOp[])(
    '%s of floats',
    (op) => {
      const random = randomSource(3);
      const pick = (): number =>
        random() < 0.4
          ? specials[Math.floor(random() * specials.length)]
          : Math.fround((random() - 0.5) * 2 ** (random() * 8));
      const a = [2, -2, -2, -8, 0, -0, -0, 0, -inf, -inf, 10, ...Array.from({ length: 1200 }, pick)];
      const b = [
        3,
        3,
        2,
        1 / 3,
        0,
        -3,
        -2,
        -1,
        3,
        -3,
        38,
        ...Array.from({ length: 1200 }, () => (random() < 0.5 ? Math.round(pick()) : pick())),
      ];
      const dtype = ['lt', 'le', 'eq', 'ne'].includes(op) ? 'bool' : 'float32';
      const kernel = elementwise(a.length, ['float32', 'float32'], { op, args: [0, 1], dtype });
      const buffers = [
        { dtype: 'float32' as const, values: typed('float32', a) },
        { dtype: 'float32' as const, values: typed('float32', b) },
        { dtype: dtype as ComputeType, values: typed(dtype, new Array<number>(a.length).fill(0)) },
      ];
      const [, , got] = runOn(backend, kernel, buffers);
      const [x, y, want] = interpreted(kernel, buffers);
      for (let i = 0; i < a.length; i++) {
        const exact = Math.fround(want[i]);
        // Where C and JS disagree: 1^NaN and 1^inf.
        if (op === 'pow' && Math.abs(x[i]) === 1 && !Number.isFinite(y[i])) continue;
        const close = Object.is(exact, NaN)
          ? Number.isNaN(got[i])
          : exact === got[i] || Math.abs(got[i] - exact) <= 1.5e-7 * Math.abs(exact) + 3e-45;
        expect(close, `${op}(${x[i]}, ${y[i]}) gave ${got[i]}, expected ${exact}`).toBe(true);
      }
    },
  );

  const integers = [0, 1, -1, 2, -2, 3, 7, -7, 31, 32, 33, 2 ** 31 - 1, -(2 ** 31), 123456789, -987654321];
  const pairs = integers.flatMap((a) => integers.map((b) => [a, b] as const));
  test.each([
    'add',
    'sub',
    'mul',
    'div',
    'min',
    'max',
    'lt',
    'le',
    'eq',
    'ne',
    'and',
    'or',
    'xor',
    'shl',
    'shr',
  ] as BinaryOp[])('%s of integers', (op) => {
    const dtype = ['lt', 'le', 'eq', 'ne'].includes(op) ? 'bool' : 'int32';
    const kernel = elementwise(pairs.length, ['int32', 'int32'], { op, args: [0, 1], dtype });
    const buffers = [
      { dtype: 'int32' as const, values: Int32Array.from(pairs, (p) => p[0]) },
      { dtype: 'int32' as const, values: Int32Array.from(pairs, (p) => p[1]) },
      { dtype: dtype as ComputeType, values: new Int32Array(pairs.length) },
    ];
    expect([...runOn(backend, kernel, buffers)[2]]).toEqual([...interpreted(kernel, buffers)[2]]);
  });

  test('pow of integers', () => {
    const cases = [
      [2, 10, 1024],
      [3, 0, 1],
      [-3, 3, -27],
      [2, -1, 0],
      [1, -5, 1],
      [-1, -5, -1],
      [-1, -4, 1],
      [0, -2, 0],
      [7, 20, Number(BigInt.asIntN(32, 7n ** 20n))],
      [0, 0, 1],
    ];
    const kernel = elementwise(cases.length, ['int32', 'int32'], { op: 'pow', args: [0, 1], dtype: 'int32' });
    const column = (i: number): Int32Array => Int32Array.from(cases, (c) => c[i]);
    const [, , got] = runOn(
      backend,
      kernel,
      [0, 1, 2].map((i) => ({ dtype: 'int32', values: i < 2 ? column(i) : new Int32Array(cases.length) })),
    );
    expect([...got]).toEqual([...column(2)]);
  });

  test.each(['neg', 'abs', 'sign', 'not', 'floor'] as UnaryOp[])('%s of integers', (op) => {
    const kernel = elementwise(integers.length, ['int32'], { op, args: [0], dtype: 'int32' });
    const buffers = [
      { dtype: 'int32' as const, values: Int32Array.from(integers) },
      { dtype: 'int32' as const, values: new Int32Array(integers.length) },
    ];
    expect([...runOn(backend, kernel, buffers)[1]]).toEqual([...interpreted(kernel, buffers)[1]]);
  });

  test.each(['and', 'or', 'xor', 'lt', 'le', 'eq', 'ne', 'min', 'max'] as BinaryOp[])('%s of bools', (op) => {
    const kernel = elementwise(4, ['bool', 'bool'], { op, args: [0, 1], dtype: 'bool' });
    const buffers = [
      [0, 0, 1, 1],
      [0, 1, 0, 1],
      [0, 0, 0, 0],
    ].map((v) => ({ dtype: 'bool' as const, values: Int32Array.from(v) }));
    expect([...runOn(backend, kernel, buffers)[2]]).toEqual([...interpreted(kernel, buffers)[2]]);
  });

  test('not and where', () => {
    const not = elementwise(5, ['bool'], { op: 'not', args: [0], dtype: 'bool' });
    const mask = { dtype: 'bool' as const, values: Int32Array.from([0, 1, 1, 0, 1]) };
    expect([...runOn(backend, not, [mask, { dtype: 'bool', values: new Int32Array(5) }])[1]]).toEqual([1, 0, 0, 1, 0]);
    const where = elementwise(5, ['bool', 'float32', 'float32'], { op: 'where', args: [0, 1, 2], dtype: 'float32' });
    const float = (v: number[]): { dtype: 'float32'; values: Float64Array } => ({
      dtype: 'float32',
      values: Float64Array.from(v),
    });
    expect([
      ...runOn(backend, where, [mask, float([1, 2, 3, 4, 5]), float([-1, NaN, -3, -4, -5]), float([0, 0, 0, 0, 0])])[3],
    ]).toEqual([-1, 2, 3, -4, 5]);
  });

  test('threefry gives the known answer (Random123, 20 rounds)', () => {
    // Key and counter 0, and all ones: known-answer vectors of Random123's threefry2x32; here word 1 of the counter is
    // always 0.
    for (const lane of [0, 1] as const) {
      const kernel = elementwise(6, ['int32', 'int32', 'int32'], {
        op: 'threefry',
        args: [0, 1, 2],
        lane,
        dtype: 'int32',
      });
      const buffers = [
        [0, 1, -1, 0x13198a2e, 5, 6],
        [0, 2, -1, 0x03707344, 7, -8],
        [0, 3, -1, 0x243f6a88, 9, 1],
        [0, 0, 0, 0, 0, 0],
      ].map((v) => ({ dtype: 'int32' as const, values: Int32Array.from(v) }));
      const got = runOn(backend, kernel, buffers)[3];
      expect(got[0] >>> 0).toBe(lane === 0 ? 0x6b200159 : 0x99ba4efe);
      expect([...got]).toEqual([...interpreted(kernel, buffers)[3]]);
    }
  });
});
