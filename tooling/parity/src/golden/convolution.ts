import { Conv1d } from '@mamba-ts/nn';
import { twoSidedConv } from '@mamba-ts/ssm';
import { concat, grad, longConv, silu, stack, type Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { agreement, type GoldenCase, type GoldenChecker } from './golden-case';

/** Section 2 of the index: convolutions. */
export const convolutionCheckers: readonly GoldenChecker[] = [
  { prefix: 'fftconv_causal', check: checkLong },
  { prefix: 'causal_depthwise_conv1d', check: checkDepthwise },
];

/** One channel: the causal convolution, and gradients of Σ g y. */
function* checkLong(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const [length, taps] = [golden.input('u').data.length, golden.input('k').data.length];
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      const u = upload(on, golden.input('u')).reshape(1, -1, 1);
      const k = upload(on, golden.input('k')).reshape(-1, 1);
      const y = longConv(u, k);
      const [du, dk] = grad(
        y
          .reshape(-1)
          .mul(upload(on, golden.input('g')))
          .sum(),
        [u, k],
      ) as [Tensor, Tensor];
      // Periods of u that reach back as far as the kernel: the last one is the convolution on a circle.
      const periods = Array.from({ length: Math.ceil((taps - 1) / length) + 1 }, () => u);
      const circular = longConv(concat(periods, 1), k).slice(1, (periods.length - 1) * length);
      return { y, du, dk, circular };
    });
    yield agrees('y', found.y, golden.output('y').data);
    yield agrees('du', found.du, golden.output('du').data);
    yield agrees('dk', found.dk, golden.output('dk').data);
    if (golden.hasOutput('wrong_circular_no_padding')) {
      yield agrees('y of u repeated', found.circular, golden.output('wrong_circular_no_padding').data);
    }
  }
}

/** One channel of the short convolution, as a whole and step by step. */
function* checkDepthwise(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const { data: taps } = golden.input('w');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      const layer = new Conv1d(1, taps.length, on.random);
      layer.weight.write(taps);
      layer.bias!.write(Float64Array.of(golden.inputNumber('b')));
      const u = upload(on, golden.input('u')).reshape(1, -1, 1);
      const y = layer.forward(u);
      const stepped: Tensor[] = [];
      for (let t = 0, window = layer.initialWindow(1); t < u.shape[1]!; t++) {
        const [sample, next] = layer.step(u.slice(1, t, t + 1).squeeze(1), window);
        stepped.push(sample);
        window = next;
      }
      return { y, stepped: stack(stepped), activated: silu(y) };
    });
    yield agrees('y', found.y, golden.output('y').data);
    yield agrees('y, stepped', found.stepped, golden.output('y').data);
    yield agrees('silu(y)', found.activated, golden.output('silu_y').data);
  }
}

/** One channel: both kernels apart, and laid side by side on a circle of twice the length, as the reference does. */
export function* checkTwoSided(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const length = golden.input('u').data.length;
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      const u = upload(on, golden.input('u')).reshape(1, -1, 1);
      const [past, future] = ['k0', 'k1'].map((name) => upload(on, golden.input(name)).reshape(-1, 1)) as [
        Tensor,
        Tensor,
      ];
      const circle = concat([past, future.flip(0)], 0);
      const period = u.pad(1, 0, length);
      const circular = longConv(concat([period, period], 1), circle).slice(1, 2 * length, 3 * length);
      return { kk: circle, y: twoSidedConv(u, past, future), circular };
    });
    yield agrees('kk', found.kk, golden.output('kk').data);
    yield agrees('y', found.y, golden.output('y').data);
    yield agrees('y, on a circle', found.circular, golden.output('y').data);
  }
}
