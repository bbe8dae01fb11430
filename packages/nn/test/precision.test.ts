import { grad, OutOfRangeError, RandomGenerator, scope, tensor } from '@mamba-ts/tensor';
import { Linear, project, withPrecision } from '@mamba-ts/nn';
import { expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';
import { fixedValues } from './fixed-values';
import { input } from './gradient-check';

onEachDevice('precision', ({ tolerance }) => {
  for (const dtype of ['bfloat16', 'float16'] as const) {
    it(`${dtype}: products of rounded operands, forward and backward, into float32`, async () => {
      const [x, w] = [input([2, 3, 5], 1), input([4, 5], 2)];
      const kept = scope(() => {
        const weights = tensor(fixedValues(24, 3), { shape: [2, 3, 4] });
        const y = withPrecision(dtype, () => project(x, w));
        const [gx, gw] = grad(y.mul(weights).sum(), [x, w]);
        const round = (t: typeof y): typeof y => t.cast(dtype).cast('float32');
        const g = round(weights);
        const expected = [
          round(x).matmul(round(w), { transposeB: true }),
          g.matmul(round(w)),
          g.reshape(6, 4).matmul(round(x).reshape(6, 5), { transposeA: true }),
        ];
        expect([y.dtype, gx.dtype, gw.dtype]).toEqual(['float32', 'float32', 'float32']);
        return [y, gx, gw, ...expected].map((t) => t.add(0).realize());
      });
      const values = await Promise.all(kept.map((t) => t.data()));
      for (let i = 0; i < 3; i++) expectClose(values[i], values[i + 3], tolerance);
      for (const t of [...kept, x, w]) t.dispose();
    });
  }

  it('a scope ends with its body, also when that throws, and can be nested', async () => {
    const random = new RandomGenerator(1);
    const layer = new Linear(3, 2, random);
    const x = tensor([1 + 2 ** -12, 0.5, -1], { shape: [1, 3] });
    const results: ArrayLike<number>[] = [];
    const evaluate = async (): Promise<void> => {
      const y = scope(() => layer.forward(x).add(0).realize());
      results.push(await y.data());
      y.dispose();
    };
    await evaluate();
    expect(() =>
      withPrecision('bfloat16', () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    await evaluate();
    const nested = withPrecision('bfloat16', () => withPrecision('float32', () => scope(() => layer.forward(x).add(0).realize())));
    results.push(await nested.data());
    const rounded = withPrecision('bfloat16', () => scope(() => layer.forward(x).add(0).realize()));
    const [plain, ...others] = results.map((r) => Array.from(r));
    expect(others).toEqual([plain, plain]);
    expect(Array.from(await rounded.data())).not.toEqual(plain);
    for (const t of [nested, rounded, x, layer, random]) t.dispose();
  });

  it('refuses what is no precision', () => {
    expect(() => withPrecision('float8' as never, () => 0)).toThrow(OutOfRangeError);
  });
});
