import { concat, tensor, type Tensor } from '@mamba-ts/tensor';
import { expectClose } from './assertions';
import type { Test } from './subject';

/** The three forms over sequences that are long enough for blocks, Fourier transforms and rounding errors to matter. */
export function testLongRuns(test: Test, { length, resets }: { length: number; resets: boolean }): void {
  test(`${length} steps equal forward`, async (s) => {
    const shape = [1, length, s.dModel] as const;
    const [x] = await s.run(() => s.values(...shape));
    const [expected] = await s.run(() => s.layer.forward(s.upload(shape, x)));
    expectClose('steps', await s.runSteps(shape, x), expected, longTolerance(s.tolerance));
  });

  test(`prefill of ${length} samples at random cuts equals forward`, async (s) => {
    await s.expectEqual(
      'prefill',
      () => {
        const x = s.values(1, length, s.dModel);
        const parts: Tensor[] = [];
        let state = s.layer.initialState(1);
        for (let at = 0; at < length;) {
          const end = Math.min(length, at + 1 + Math.floor((s.uniform() * length) / 2));
          const [y, next] = s.layer.prefill(x.slice(1, at, end), state);
          parts.push(y);
          state = next;
          at = end;
        }
        return [concat(parts, 1), s.layer.forward(x)];
      },
      longTolerance(s.tolerance),
    );
  });

  if (!resets) return;
  test(`${length} samples of packed sequences equal these by themselves`, async (s) => {
    const cuts = [0];
    while (cuts[cuts.length - 1] < length)
      cuts.push(cuts[cuts.length - 1] + 1 + Math.floor((s.uniform() * length) / 4));
    cuts[cuts.length - 1] = length;
    const flags = Int32Array.from({ length }, (_, t) => Number(cuts.includes(t)));
    await s.expectEqual(
      `packed at ${cuts.join(', ')}`,
      () => {
        const x = s.values(1, length, s.dModel);
        const packed = s.layer.forward(x, { resets: tensor(flags, { shape: [1, length], device: s.device }) });
        const alone = cuts.slice(1).map((end, i) => s.layer.forward(x.slice(1, cuts[i], end)));
        return [packed, concat(alone, 1)];
      },
      longTolerance(s.tolerance),
    );
  });
}

/** Roundings of hundreds of samples add up. */
function longTolerance(tolerance: number): number {
  return 5 * tolerance;
}
