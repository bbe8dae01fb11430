import { expect, it } from 'vitest';
import type { ComputeType, Instruction, Kernel } from '@mamba-ts/tensor';
import { printKernel } from '../src/printer/kernel';
import { binaryFunctions, unaryFunctions } from '@mamba-ts/tensor/conformance';
import { PtxMachine } from './ptx-machine';

/** y[i] = op(x0[i], x1[i]) */
function elementwise(op: string, inputs: number, from: ComputeType, to: ComputeType, count: number): Kernel {
  const access = (buffer: number, dtype: ComputeType): Kernel['loads'][number] => ({ buffer, dtype, offset: 0, strides: [1], guards: [] });
  const args = Array.from({ length: inputs }, (_, i) => i);
  const loads = args.map((i): Instruction => ({ op: 'load', load: i, dtype: from }));
  return {
    domain: [count], outerDims: 1, reduces: [], epilogue: [],
    loads: args.map((i) => access(i, from)),
    body: [...loads, { op, args, dtype: to } as unknown as Instruction],
    stores: [{ access: access(inputs, to), value: inputs, phase: 'body' }],
  };
}

function run(kernel: Kernel, inputs: readonly (Float32Array | Int32Array)[], float: boolean): Float32Array | Int32Array {
  const printed = printKernel(kernel, { multiprocessors: 132, guarded: false });
  const [count] = kernel.domain;
  const bytes = Math.ceil((count * 4) / 64) * 64;
  const memory = new ArrayBuffer(bytes * (inputs.length + 1));
  inputs.forEach((x, i) => (float ? new Float32Array(memory, i * bytes, count) : new Int32Array(memory, i * bytes, count)).set(x));
  new PtxMachine(printed.text, new DataView(memory)).run({ ...printed, parameters: Array.from({ length: inputs.length + 1 }, (_, i) => i * bytes) });
  return float ? new Float32Array(memory, inputs.length * bytes, count) : new Int32Array(memory, inputs.length * bytes, count);
}

const special = [0, -0, 1, -1, 0.5, 20, 21, -20, 88, -88, 88.6, -87.2, 100, -100, 1e-7, -1e-7, 1e-30, 1e30, 3e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
const dense = Array.from({ length: 4000 }, (_, i) => (i - 2000) / 500);
const spread = Array.from({ length: 2000 }, (_, i) => (i - 1000) * 0.0873);
const small = Array.from({ length: 500 }, (_, i) => (i - 250) * 1e-5);
const inputs = Float32Array.from([...special, ...dense, ...spread, ...small]);

/** Largest relative error, with the argument where it is; results below the normal range may be flushed. */
function worst(got: ArrayLike<number>, exact: (i: number) => number): { error: number; at: number } {
  const result = { error: 0, at: -1 };
  for (let i = 0; i < got.length; i++) {
    const want = Math.fround(exact(i));
    if (got[i] === want || (Number.isNaN(got[i]) && Number.isNaN(want)) || Math.abs(got[i] - want) <= 1.2e-38) continue;
    const error = Math.abs(got[i] - want) / Math.abs(want);
    if (!(error <= result.error)) Object.assign(result, { error: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error, at: i });
  }
  return result;
}

const unaries = ['neg', 'abs', 'sign', 'exp', 'expm1', 'log', 'log1p', 'sqrt', 'rsqrt', 'reciprocal', 'tanh', 'erf', 'sigmoid', 'softplus', 'floor'] as const;

it.each(unaries)('%s agrees with float64 to 5e-7, special values included', (op) => {
  const got = run(elementwise(op, 1, 'float32', 'float32', inputs.length), [inputs], true);
  const { error, at } = worst(got, (i) => unaryFunctions[op](inputs[i]));
  expect(error, `${op}(${inputs[at]}) gave ${got[at]}`).toBeLessThan(5e-7);
});

it.each(['sin', 'cos'] as const)('%s agrees with float64 to 2e-7 absolute up to 1e5', (op) => {
  const x = Float32Array.from([...inputs.filter((v) => Math.abs(v) <= 1e5), ...dense.map((v) => v * 1e4)]);
  const got = run(elementwise(op, 1, 'float32', 'float32', x.length), [x], true);
  x.forEach((v, i) => expect(Math.abs(got[i] - unaryFunctions[op](v)), `${op}(${v})`).toBeLessThan(2e-7));
});

it('pow agrees with float64 to 1e-6, special values included', () => {
  const bases = [...special, ...spread.slice(0, 1990).filter((_, i) => i % 5 === 0), ...small.slice(0, 40), 1e-20, 1e20, 1e-40];
  const exponents = [2, 3, 0.5, -1, 0, 1.7, -2, 7, -3.3, 10, 0.01, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1e9];
  const x = Float32Array.from(bases.flatMap((b) => exponents.map(() => b)));
  const y = Float32Array.from(bases.flatMap(() => exponents));
  const got = run(elementwise('pow', 2, 'float32', 'float32', x.length), [x, y], true);
  const { error, at } = worst(got, (i) => x[i] ** y[i]);
  expect(error, `${x[at]} ** ${y[at]} gave ${got[at]}`).toBeLessThan(1e-6);
});

const pairs = [0, 1, -1, 2, -7, 31, 2 ** 31 - 1, -(2 ** 31), 12345, -678].flatMap((a, _, all) => all.map((b) => [a, b] as const));

it.each(['add', 'sub', 'mul', 'div', 'min', 'max', 'and', 'or', 'xor', 'shl', 'shr'] as const)('%s on int32 wraps as in JavaScript', (op) => {
  const [x, y] = [0, 1].map((k) => Int32Array.from(pairs, (p) => p[k]));
  const got = run(elementwise(op, 2, 'int32', 'int32', x.length), [x, y], false);
  const exact = binaryFunctions(op, true);
  expect([...got]).toEqual(pairs.map(([a, b]) => exact(a, b) | 0));
});

it('powers of int32', () => {
  const cases = [[2, 10], [-3, 5], [7, 0], [0, 0], [1, -5], [-1, -3], [5, -1], [0, 3], [-1, 2 ** 31 - 1]];
  const [x, y] = [0, 1].map((k) => Int32Array.from(cases, (p) => p[k]));
  const got = run(elementwise('pow', 2, 'int32', 'int32', x.length), [x, y], false);
  expect([...got]).toEqual([1024, -243, 1, 1, 1, -1, 0, 0, -1]);
});
