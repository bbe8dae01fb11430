import { Conv1d } from '@mamba-ts/nn';
import { tensor, type Variable } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { expectClose, onEachDevice } from './devices';
import { fixedValues } from './fixed-values';
import { floats, temporarily } from './temporarily';

/** y_t = bias + Σ_j weight_j · x_{t−(width−1)+j} by its definition, samples before a reset gone. */
function convolved(
  x: ArrayLike<number>,
  [batch, length, channels]: readonly number[],
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  before: ArrayLike<number> | null,
  resets: readonly number[] | null,
): number[] {
  const width = weight.length / channels;
  const out: number[] = [];
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < length; t++) {
      for (let c = 0; c < channels; c++) {
        let y = bias[c];
        for (let lag = 0; lag < width; lag++) {
          if (resets && lag > 0 && resets[b * length + t - lag + 1] !== 0 && t - lag + 1 >= 0) break;
          const s = t - lag;
          const value =
            s >= 0
              ? x[(b * length + s) * channels + c]
              : before
                ? before[(b * (width - 1) + width - 1 + s) * channels + c]
                : 0;
          y += weight[c * width + width - 1 - lag] * value;
        }
        out.push(y);
      }
    }
  }
  return out;
}

onEachDevice('Conv1d', (on) => {
  for (const [width, length] of [
    [4, 7],
    [4, 2],
    [3, 1],
    [1, 3],
  ]) {
    it(`width ${width}, length ${length}: forward, prefill and steps by the definition`, async () => {
      const shape = [2, length, 3];
      const before = [2, width - 1, 3];
      const resets = Array.from({ length: 2 * length }, (_, i) => (i % 3 === 1 ? 5 : 0));
      const [weight, bias, plain, continued, packed, first, window, second, stepped, last, reset] = await temporarily(
        (random) => {
          const layer = new Conv1d(3, width, random);
          const x = floats(shape, 8);
          const initial = floats(before, 9);
          const starts = tensor(resets, { dtype: 'int32' }).reshape(2, length);
          const next = floats([2, 3], 10);
          const [y1, w1] = layer.prefill(x, { initial });
          const [y2, w2] = layer.prefill(x, { initial, resets: starts });
          const [y3, w3] = layer.step(next, w1);
          const [y4] = layer.step(next, w2);
          return [
            layer.weight,
            layer.bias as Variable,
            layer.forward(x),
            layer.forward(x, { initial }),
            y2,
            y1,
            w1,
            y3,
            y4,
            w3,
            layer.step(next, layer.initialWindow(2))[0],
          ] as const;
        },
      );
      expect([weight.length, bias.length]).toEqual([3 * width, 3]);
      const x = fixedValues(2 * length * 3, 8);
      const initial = fixedValues(2 * (width - 1) * 3, 9);
      const next = fixedValues(6, 10);
      const expectedPlain = convolved(x, shape, weight, bias, null, null);
      expectClose(plain, expectedPlain, on.tolerance);
      expectClose(continued, convolved(x, shape, weight, bias, initial, null), on.tolerance);
      expectClose(first, continued, 0);
      expectClose(packed, convolved(x, shape, weight, bias, initial, resets), on.tolerance);
      // One more sample behind each row of x.
      const longer = [0, 1].flatMap((b) => [
        ...x.slice(b * length * 3, (b + 1) * length * 3),
        ...next.slice(b * 3, b * 3 + 3),
      ]);
      const longerResets = [0, 1].flatMap((b) => [...resets.slice(b * length, (b + 1) * length), 0]);
      const lastOf = (y: readonly number[]): number[] =>
        [0, 1].flatMap((b) => y.slice((b * (length + 1) + length) * 3, (b + 1) * (length + 1) * 3));
      const longShape = [2, length + 1, 3];
      expectClose(second, lastOf(convolved(longer, longShape, weight, bias, initial, null)), on.tolerance);
      expectClose(stepped, lastOf(convolved(longer, longShape, weight, bias, initial, longerResets)), on.tolerance);
      expectClose(reset, convolved(next, [2, 1, 3], weight, bias, null, null), on.tolerance);
      expect([window.length, last.length]).toEqual([before[0] * before[1] * 3, before[0] * before[1] * 3]);
      const bound = 1 / Math.sqrt(width);
      for (const w of [...Array.from(weight), ...Array.from(bias)]) expect(Math.abs(w)).toBeLessThanOrEqual(bound);
    });
  }
});
