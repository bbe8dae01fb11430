import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { OutOfRangeError, RandomGenerator, reference, scope, tensor, type Tensor } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import { AttentionBlock, type AttentionBlockConfig } from '../src/index';
import { rotary } from '../src/blocks/rotary';
import { floatDevices } from './devices';
import { expectNumbers } from './golden';
import { disposeEmpty, evaluate } from './harness';

const variants: Record<string, Omit<AttentionBlockConfig, 'dModel'>> = {
  plain: { numHeads: 2 },
  'rotary, shared keys, convolution': {
    numHeads: 4,
    numHeadsKv: 2,
    headDim: 4,
    rotaryDim: 2,
    dConv: 3,
    qkvBias: false,
  },
  'interleaved rotary, no biases': {
    numHeads: 2,
    rotaryDim: 2,
    rotaryInterleaved: true,
    qkvBias: false,
    outBias: false,
  },
};
for (const [name, config] of Object.entries(variants)) {
  testSequenceLayer(
    { describe, it },
    `attention block, ${name}`,
    (random) => new AttentionBlock({ dModel: 4, nLayer: 2, ...config }, random),
    { devices: floatDevices },
  );
}

describe('attention block', () => {
  it('is softmax attention, written out', async () => {
    const device = await reference();
    const random = new RandomGenerator(3, device);
    const block = new AttentionBlock({ dModel: 2, numHeads: 1, qkvBias: false, outBias: false }, random);
    const [inW, outW] = [
      [1, 0.5, -0.25, 2, 0.75, -1, 1.5, 0.3, 0.2, -0.6, 0.9, 1.1],
      [1, 0, 0, 1],
    ];
    block.in_proj.weight.write(Float64Array.from(inW));
    block.out_proj.weight.write(Float64Array.from(outW));
    const x = [
      [1, 2],
      [-0.5, 0.25],
      [0.75, -1],
    ];
    const row = (i: number, v: number[]): number => inW[2 * i] * v[0] + inW[2 * i + 1] * v[1];
    const expected = x.map((query, t) => {
      const scores = x
        .slice(0, t + 1)
        .map((key) => (row(0, query) * row(2, key) + row(1, query) * row(3, key)) / Math.SQRT2);
      const total = scores.reduce((sum, s) => sum + Math.exp(s), 0);
      return [4, 5].map((i) => scores.reduce((sum, s, j) => sum + (Math.exp(s) / total) * row(i, x[j]), 0));
    });
    const y = await evaluate(() => block.forward(tensor(Float64Array.from(x.flat()), { shape: [1, 3, 2], device })));
    expectNumbers(y, expected, 1e-13);
    block.dispose();
    random.dispose();
    disposeEmpty(device);
  });

  it('rotary turns pairs, and products depend on distances alone', async () => {
    const device = await reference();
    const vector = (values: number[]): Tensor =>
      tensor(Float64Array.from(values), { shape: [1, 1, 1, values.length], device });
    for (const rotaryInterleaved of [false, true]) {
      const config = { rotaryDim: 4, rotaryBase: 100, rotaryInterleaved };
      const turned = await evaluate(() => rotary(vector([1, 2, 3, 4, 5]), 7, config));
      const [i, j] = rotaryInterleaved ? [0, 1] : [0, 2];
      const [a, b] = [[1, 2, 3, 4][i], [1, 2, 3, 4][j]];
      expectNumbers(
        [turned[i], turned[j], turned[4]],
        [a * Math.cos(7) - b * Math.sin(7), a * Math.sin(7) + b * Math.cos(7), 5],
        1e-13,
      );
      const product = (t: number): Promise<number[]> =>
        evaluate(() =>
          rotary(vector([1, 2, 3, 4]), t, config)
            .mul(rotary(vector([4, -1, 0.5, 2]), t + 3, config))
            .sum(),
        );
      expectNumbers(await product(0), await product(11), 1e-12);
    }
    disposeEmpty(device);
  });

  it.each([
    [{ numHeads: 3, numHeadsKv: 2, headDim: 2 }, /numHeadsKv is 2, expected a divisor of numHeads \(3\)/],
    [{ numHeads: 2, rotaryDim: 3 }, /rotaryDim is 3, expected an even number up to headDim \(2\)/],
    [{ numHeads: 3 }, /headDim is 1.333/],
    [{ headDim: 3 }, /numHeads is 1.333/],
  ])('refuses %o', async (config, message) => {
    const device = await reference();
    const random = new RandomGenerator(3, device);
    const make = (): void => scope(() => void new AttentionBlock({ dModel: 4, ...config }, random));
    expect(make).toThrow(message);
    expect(make).toThrow(OutOfRangeError);
    random.dispose();
    disposeEmpty(device);
  });
});
