import { describe, expect, it } from './runner';
import type { BinaryOp, UnaryOp } from '../compile/kernel';
import type { Device } from '../device';
import { tensor } from '../functions/create';
import { binaryOps, unaryOps } from '../graph/primitives';
import { binary, unary } from '../graph/build';
import { RandomGenerator } from '../random';
import { scope } from '../scope';
import { Tensor } from '../tensor';
import type { Devices } from './index';
import { randomIntegers, randomSource, randomValues } from './random-values';

const special = [0, -0, 1, -1, 0.5, 20, 21, -20, 88, -88, 100, -100, 1e-7, -1e-7, 1e-30, 1e30, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];

/** float32 results may differ from the exact value by rounding in the argument, in the op and in the result. */
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: (i: number) => string, tolerance: number): void {
  for (let i = 0; i < expected.length; i++) {
    const a = Math.fround(actual[i]);
    const e = Math.fround(expected[i]);
    if (Object.is(a, e) || a === e || (Number.isNaN(a) && Number.isNaN(e))) continue;
    // Results below the smallest normal float32 may be flushed.
    const error = Math.abs(a - e) / Math.max(Math.abs(e), 1.2e-38);
    const tiny = Math.abs(a - e) <= 1.2e-38;
    if (!tiny && !(error <= tolerance)) expect.fail(`${what(i)} gave ${a}, expected ${e} (relative error ${error.toExponential(1)})`);
  }
}

/** Every elementwise op over ordinary and special values, float and integer. */
export function testElementwise(devices: Devices): void {
  const onBoth = async (build: (device: Device) => Tensor): Promise<[ArrayLike<number>, ArrayLike<number>]> => {
    const run = async (device: Device): Promise<ArrayLike<number>> => {
      const t = scope(() => build(device).realize());
      const values = await t.data();
      t.dispose();
      return values;
    };
    return [await run(devices.device), await run(devices.oracle)];
  };

  describe('elementwise', () => {
    const random = randomSource(5);
    const ordinary = [...randomValues(random, 40, -4, 4), ...randomValues(random, 40, -60, 60), ...randomValues(random, 20, 0, 1e-3)];

    for (const op of Object.keys(unaryOps) as UnaryOp[]) {
      if (op === 'not') continue;
      it(`${op} on floats`, async () => {
        let x = [...ordinary, ...special];
        // Beyond 1e5 the argument reduction may lose accuracy (documented).
        if (op === 'sin' || op === 'cos') x = x.filter((v) => !(Math.abs(v) > 1e5));
        x = [...Float32Array.from(x)];
        const [actual, expected] = await onBoth((device) => new Tensor(unary(op, tensor(x, { device }).node)));
        const absolute = op === 'sin' || op === 'cos';
        if (absolute) for (let i = 0; i < x.length; i++) expect(Math.abs(actual[i] - expected[i]) || 0, `${op}(${x[i]})`).toBeLessThan(2e-6);
        else expectClose(actual, expected, (i) => `${op}(${x[i]})`, 5e-7);
      });
    }

    const integers = [0, 1, -1, 2, -7, 31, 2 ** 31 - 1, -(2 ** 31), ...randomIntegers(random, 20, -1000, 1000)];

    for (const op of Object.keys(binaryOps) as BinaryOp[]) {
      const logical = ['and', 'or', 'xor', 'shl', 'shr'].includes(op);
      if (!logical) {
        it(`${op} on floats`, async () => {
          const positive = op === 'pow';
          const base = positive ? [...randomValues(random, 60, 0.01, 6), 0, 1, 2, -2, -3] : [...ordinary, ...special];
          const other = base.map((_, i) => (positive ? [2, 3, 0.5, -1, 0, 1.7, -2][i % 7] : base[(i * 7 + 3) % base.length]));
          // A negative base to a fraction is NaN by definition; keep the integers.
          const y = other.map((v, i) => (positive && base[i] <= 0 ? Math.abs(Math.trunc(v)) || 2 : v));
          const x = [...Float32Array.from(base)];
          const [actual, expected] = await onBoth((device) => new Tensor(binary(op, tensor(x, { device }).node, tensor(Float32Array.from(y), { device }).node)));
          expectClose(actual, expected, (i) => `${op}(${x[i]}, ${y[i]})`, op === 'pow' ? 2e-6 : 2e-7);
        });
      }
      if (op === 'pow') continue;
      it(`${op} on int32`, async () => {
        const pairs = integers.flatMap((a) => integers.slice(0, 12).map((b) => [a, ['shl', 'shr'].includes(op) ? Math.abs(b % 32) : b]));
        const [actual, expected] = await onBoth((device) => {
          const [x, y] = [0, 1].map((k) => tensor(pairs.map((p) => p[k]), { device, dtype: 'int32' }));
          return new Tensor(binary(op, x.node, y.node));
        });
        expect(Array.from(actual)).toEqual(Array.from(expected));
      });
    }

    it('logic on bools', async () => {
      const [actual, expected] = await onBoth((device) => {
        const a = tensor([true, true, false, false], { device });
        const b = tensor([true, false, true, false], { device });
        return a.and(b).cast('int32').add(a.or(b).cast('int32').mul(2)).add(a.xor(b).cast('int32').mul(4)).add(a.not().cast('int32').mul(8)).add(a.equal(b).cast('int32').mul(16));
      });
      expect(Array.from(actual)).toEqual(Array.from(expected));
    });

    it('casts', async () => {
      const x = [0, 0.9, -0.9, 1.5, -2.5, 1e9, -1e9, 3e9, -3e9, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      const [toInt, expectedInt] = await onBoth((device) => tensor(x, { device }).cast('int32'));
      expect(Array.from(toInt)).toEqual(Array.from(expectedInt));
      const [toBool, expectedBool] = await onBoth((device) => tensor(x, { device }).cast('bool'));
      expect(Array.from(toBool)).toEqual(Array.from(expectedBool));
      const [toFloat, expectedFloat] = await onBoth((device) => tensor([0, 1, -5, 2 ** 24], { device, dtype: 'int32' }).cast('float32'));
      expect(Array.from(toFloat)).toEqual(Array.from(expectedFloat));
    });

    it('random bits and uniforms are the same stream everywhere', async () => {
      const draw = (kind: 'bits' | 'uniform' | 'integers') => (device: Device): Tensor => {
        const generator = new RandomGenerator(1234, device);
        const first = kind === 'integers' ? generator.integers([3, 5], -4, 9) : generator[kind]([3, 5]);
        const second = kind === 'integers' ? generator.integers([3, 5], -4, 9) : generator[kind]([3, 5]);
        return first.mul(3).add(second);
      };
      for (const kind of ['bits', 'integers'] as const) {
        const [actual, expected] = await onBoth(draw(kind));
        expect(Array.from(actual)).toEqual(Array.from(expected));
      }
      const [actual, expected] = await onBoth((device) => new RandomGenerator(9, device).uniform([1000]));
      expect(Array.from(actual)).toEqual(Array.from(expected));
      const [normals, exact] = await onBoth((device) => new RandomGenerator(9, device).normal([1000]));
      for (let i = 0; i < 1000; i++) expect(Math.abs(normals[i] - exact[i])).toBeLessThan(1e-5);
      const mean = Array.from(exact).reduce((s, v) => s + v, 0) / 1000;
      const variance = Array.from(exact).reduce((s, v) => s + (v - mean) ** 2, 0) / 1000;
      expect(Math.abs(mean)).toBeLessThan(0.1);
      expect(Math.abs(variance - 1)).toBeLessThan(0.15);
    });
  });
}
