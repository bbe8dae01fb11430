import { afterAll, describe, expect, test } from 'vitest';
import type { Access, Instruction, Kernel } from '../../src/compile/kernel';
import type { ComputeType, DType } from '../../src/dtype';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../../src/half';
import { bareBackend, interpreted, randomSource, runOn } from './bare-backend';

const backend = await bareBackend({ threads: 1 });
afterAll(() => backend.dispose());

const at = (buffer: number, dtype: DType): Access => ({ buffer, dtype, offset: 0, strides: [1], guards: [] });
const computed = (dtype: DType): ComputeType => (dtype === 'int32' || dtype === 'bool' ? dtype : 'float32');

function through(count: number, from: DType, to: DType, last?: Instruction): Kernel {
  const load: Instruction = { op: 'load', load: 0, dtype: computed(from) };
  return {
    domain: [count],
    outerDims: 1,
    loads: [at(0, from)],
    body: last ? [load, last] : [load],
    reduces: [],
    epilogue: [],
    stores: [{ access: at(1, to), value: last ? 1 : 0, phase: 'body' }],
  };
}

/**
 * Every float that rounds interestingly: around each half-precision number and the halfway points between neighbours.
 */
function roundingCases(widen: (bits: number) => number): Float64Array {
  const cases: number[] = [];
  for (let bits = 0; bits < 0x7c80; bits += 7) {
    const [a, b] = [widen(bits), widen(bits + 1)];
    if (Number.isFinite(a))
      for (const x of [a, (a + b) / 2, a + (b - a) * 0.4999, a + (b - a) * 0.5001])
        cases.push(Math.fround(x), -Math.fround(x));
  }
  const random = randomSource(5);
  for (let i = 0; i < 20000; i++) cases.push(Math.fround((random() - 0.5) * 2 ** (random() * 300 - 170)));
  return Float64Array.from([
    ...cases,
    0,
    -0,
    Infinity,
    -Infinity,
    NaN,
    65519,
    65520,
    65536,
    3.4e38,
    2 ** -24,
    2 ** -25,
    2 ** -26,
    1e-45,
  ]);
}

describe.each([
  ['bfloat16', fromBFloat16, toBFloat16],
  ['float16', fromFloat16, toFloat16],
] as const)('%s', (dtype, widen, narrow) => {
  test('loads all 65536 values', () => {
    const values = Float64Array.from({ length: 65536 }, (_, bits) => widen(bits));
    const [, got] = runOn(backend, through(65536, dtype, 'float32'), [
      { dtype, values },
      { dtype: 'float32', values: new Float64Array(65536) },
    ]);
    expect([...got]).toEqual([...values]);
  });

  test('stores and casts round to nearest even', () => {
    const values = roundingCases(widen);
    const want = [...values].map((x) => widen(narrow(x)));
    const input = { dtype: 'float32' as const, values };
    const empty = new Float64Array(values.length);
    expect([...runOn(backend, through(values.length, 'float32', dtype), [input, { dtype, values: empty }])[1]]).toEqual(
      want,
    );
    const cast = through(values.length, 'float32', 'float32', { op: 'cast', args: [0], to: dtype, dtype: 'float32' });
    expect([...runOn(backend, cast, [input, { dtype: 'float32', values: empty }])[1]]).toEqual(want);
  });
});

test.each([
  ['float32', 'int32'],
  ['float32', 'bool'],
  ['int32', 'float32'],
  ['int32', 'bool'],
  ['bool', 'float32'],
  ['bool', 'int32'],
  ['int32', 'bfloat16'],
  ['bool', 'float16'],
] as const)('cast from %s to %s', (from, to) => {
  const floats = [0, -0, 0.4, -0.6, 1.5, -1.5, 2 ** 31, -(2 ** 31), 3e9, -3e9, Infinity, -Infinity, NaN, 1e-30];
  const integers = [0, 1, -1, 5, 16777217, -16777219, 2 ** 31 - 1, -(2 ** 31), 257, 513];
  const list = from === 'float32' ? floats : from === 'int32' ? integers : [0, 1, 1, 0, 1];
  const values = from === 'float32' ? Float64Array.from(list, Math.fround) : Int32Array.from(list);
  const stored = computed(to);
  const kernel = through(list.length, from, stored, { op: 'cast', args: [0], to, dtype: stored });
  const buffers = [
    { dtype: from, values },
    { dtype: stored, values: stored === 'float32' ? new Float64Array(list.length) : new Int32Array(list.length) },
  ];
  expect([...runOn(backend, kernel, buffers)[1]]).toEqual(
    [...interpreted(kernel, buffers)[1]].map((x) => (stored === 'float32' ? Math.fround(x) : x)),
  );
});

test('host copies convert to the storage type', () => {
  const buffer = backend.allocate(64);
  const round = (dtype: DType, values: number[]): number[] => {
    backend.write(buffer, dtype, Float64Array.from(values));
    return [...backend.readSync(buffer, dtype, values.length)];
  };
  expect(round('int32', [1.9, -1.9, NaN, 1e12])).toEqual([1, -1, 0, 2 ** 31 - 1]);
  expect(round('bool', [0, 2, NaN, -0])).toEqual([0, 1, 1, 0]);
  expect(round('float16', [1 / 3, 70000])).toEqual([0.333251953125, Infinity]);
  expect(round('bfloat16', [1 / 3])).toEqual([0.333984375]);
  expect(round('float32', [0.1])).toEqual([Math.fround(0.1)]);
  expect(() => backend.write(buffer, 'float32', new Float32Array(17))).toThrow('has 64 bytes, expected at least 68');
  backend.free(buffer);
});
