import { type Device, matmul, realize, reference, scope, tensor, type Tensor } from '@mamba-ts/tensor';
import { randomSource, randomValues, relativeError, type TestRunner } from '@mamba-ts/tensor/conformance';

/** What a product of a few dozen rows is given and followed by. */
interface Case {
  readonly name: string;
  /** (m, k) float32, of which the step takes a part, rounds it or both. */
  readonly prepare: (x: Tensor, k: number) => Tensor;
  readonly follow: (y: Tensor, bias: Tensor, residual: Tensor) => Tensor;
  readonly tolerance: number;
}

const rounded = (x: Tensor, k: number): Tensor => x.slice(1, 0, k).cast('bfloat16');
const halfPrecision = 2 ** -8;

const cases: readonly Case[] = [
  { name: 'plain', prepare: (x, k) => rounded(x.mul(1), k), follow: (y) => y, tolerance: 3e-6 },
  { name: 'part of a float32 value', prepare: rounded, follow: (y) => y, tolerance: 3e-6 },
  { name: 'bias and SiLU', prepare: rounded, follow: (y, bias) => { const z = y.add(bias); return z.mul(z.sigmoid()); }, tolerance: 3e-6 },
  { name: 'bias, ReLU and residual', prepare: (x, k) => rounded(x.mul(1), k), follow: (y, bias, residual) => y.add(bias).maximum(0).add(residual), tolerance: 3e-6 },
  { name: 'residual in bfloat16', prepare: rounded, follow: (y, _, residual) => y.add(residual.cast('bfloat16').cast('float32')), tolerance: 3e-6 },
  { name: 'result in bfloat16', prepare: (x, k) => rounded(x.mul(1), k), follow: (y, bias) => y.add(bias).cast('bfloat16'), tolerance: halfPrecision },
];

/** Tiles and their edges; sums over k in one, two, four and eight parts, whole stages and not; rows that are no whole vectors of the result. */
const sizes: readonly (readonly [m: number, k: number, n: number])[] = [
  [9, 256, 2048], [16, 4096, 160], [17, 512, 8192], [33, 1000, 1025], [63, 4096, 2047], [64, 128, 4096], [64, 4096, 2048], [64, 512, 8192], [64, 4096, 160], [32, 712, 35],
  [64, 72, 33], [12, 8, 5], [64, 20, 33],
];

/** Products of 9 to 64 rows with all that they take along, against the reference device; each twice, with the same bits. */
export function narrowProductChecks({ describe, it, expect }: TestRunner, device: Device): void {
  describe('products of 9 to 64 rows', () => {
    for (const [m, k, n] of sizes) {
      for (const c of cases) {
        it(`(${m}, ${k}) by (${k}, ${n}), ${c.name}`, async () => {
          const random = randomSource(m + k + n);
          const pitch = Math.ceil(k / 8) * 8 + 32;
          const values = { x: randomValues(random, m * pitch), w: randomValues(random, n * k), bias: randomValues(random, n), residual: randomValues(random, m * n) };
          const on = async (d: Device, ways: number): Promise<ArrayLike<number>[]> => {
            const out = scope(() => {
              const all = tensor(values.x, { shape: [m, pitch], device: d });
              const weights = tensor(values.w, { shape: [n, k], device: d, dtype: 'bfloat16' });
              const [bias, residual] = [tensor(values.bias, { shape: [n], device: d }), tensor(values.residual, { shape: [m, n], device: d })];
              // The second one's weights are made by the step itself.
              const made = tensor(values.w, { shape: [n, k], device: d }).cast('bfloat16');
              const results = [weights, made].slice(0, ways).map((w) => c.follow(matmul(c.prepare(all, k), w, { transposeB: true }), bias, residual));
              realize(...results);
              return results;
            });
            const read: ArrayLike<number>[] = [];
            for (const t of out) {
              read.push(await t.data());
              t.dispose();
            }
            return read;
          };
          const [first, second] = [await on(device, 2), await on(device, 2)];
          const oracle = await reference();
          const [exact] = await on(oracle, 1);
          oracle.dispose();
          for (const y of first) expect(relativeError(y, exact)).toBeLessThan(c.tolerance);
          first.forEach((y, i) => expect(relativeError(y, second[i]), `result ${i}, second run`).toBe(0));
          expect(relativeError(first[0], first[1]), 'weights made by the step').toBe(0);
        });
      }
    }
  });
}
