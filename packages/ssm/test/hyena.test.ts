import { type Device, OutOfRangeError, RandomGenerator, reference, scope, type Tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Hyena, type HyenaConfig, HyenaConvolution } from '../src/index';
import { expectNumbers } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

describe('Hyena', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => disposeEmpty(device));
  const build = (config: Partial<HyenaConfig> = {}): Hyena => {
    const random = new RandomGenerator(3, device);
    try {
      return new Hyena({ dModel: 4, lMax: 12, filterOrder: 6, ...config }, random);
    } finally {
      random.dispose();
    }
  };
  const wave = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);

  it('has the parameters of the safari repository, and says how to train them', () => {
    const layer = build({ order: 3 });
    const shapes = Object.fromEntries([...layer.stateDict()].map(([path, v]) => [path, v.shape]));
    expect(shapes).toEqual({
      'in_proj.weight': [16, 4],
      'in_proj.bias': [16],
      'out_proj.weight': [4, 4],
      'out_proj.bias': [4],
      'short_filter.weight': [16, 1, 3],
      'short_filter.bias': [16],
      'filter_fn.bias': [8],
      'filter_fn.pos_emb.z': [1, 12, 3],
      'filter_fn.pos_emb.t': [1, 12, 1],
      'filter_fn.implicit_filter.0.weight': [6, 3],
      'filter_fn.implicit_filter.0.bias': [6],
      'filter_fn.implicit_filter.1.freq': [1, 6],
      'filter_fn.implicit_filter.2.weight': [6, 6],
      'filter_fn.implicit_filter.2.bias': [6],
      'filter_fn.implicit_filter.3.freq': [1, 6],
      'filter_fn.implicit_filter.4.weight': [6, 6],
      'filter_fn.implicit_filter.4.bias': [6],
      'filter_fn.implicit_filter.5.freq': [1, 6],
      'filter_fn.implicit_filter.6.weight': [8, 6],
      'filter_fn.modulation.deltas': [1, 1, 8],
    });
    const parameters = layer.parameters();
    // One sine for all layers; times and exponents are not trained.
    for (const path of ['implicit_filter.3.freq', 'pos_emb.t', 'modulation.deltas'])
      expect(parameters.has(`filter_fn.${path}`)).toBe(false);
    expect(parameters.get('filter_fn.pos_emb.z')?.metadata).toEqual({ learningRate: 1e-5, weightDecay: false });
    expect(parameters.get('filter_fn.implicit_filter.2.weight')?.metadata).toMatchObject({ weightDecay: false });
    expect(parameters.get('filter_fn.implicit_filter.1.freq')?.metadata).toMatchObject({ weightDecay: false });
    expect(parameters.get('filter_fn.bias')?.metadata).toEqual({});
    layer.dispose();
    const fixed = build({ positionLearningRate: 0 });
    expect(fixed.parameters().has('filter_fn.pos_emb.z')).toBe(false);
    fixed.dispose();
  });

  it('answers an impulse with its filter and its skip, where the gates are open', async () => {
    const random = new RandomGenerator(4, device);
    const layer = new HyenaConvolution({ dModel: 2, lMax: 9, filterOrder: 4 }, random);
    const impulse = (): Tensor => host([1, 1, ...new Array(10).fill(0)], 1, 6, 2);
    const expected = await evaluate(() => {
      const first = host([1, 0, 0, 0, 0, 0], 6, 1);
      return layer.filter_fn.taps(6).add(first.mul(layer.filter_fn.bias));
    });
    expectNumbers(await evaluate(() => layer.forward(impulse())), expected, 1e-13);
    layer.dispose();
    random.dispose();
  });

  it('has filters up to lMax, the same at every length, and refuses what is longer', async () => {
    const layer = build();
    const [whole, part] = [
      await evaluate(() => layer.filter_fn.taps(12)),
      await evaluate(() => layer.filter_fn.taps(5)),
    ];
    expectNumbers(part, whole.slice(0, 20), 1e-14);
    scope(() => {
      const x = host(wave(52), 1, 13, 4);
      expect(() => layer.forward(x)).toThrow(OutOfRangeError);
      expect(() => layer.forward(x)).toThrow(/Hyena: the sequence has length 13, expected at most lMax \(12\)/);
      const [, state] = layer.prefill(x.slice(1, 0, 12));
      expect(() => layer.step(host(wave(4), 1, 4), state)).toThrow(/length 13/);
    });
    layer.dispose();
  });

  it.each([
    [{ order: 1 }, /order is 1, expected an integer >= 2/],
    [{ embDim: 4 }, /embDim is 4, expected an odd number/],
    [{ innerMlps: -1 }, /innerMlps is -1/],
    [{ positionLearningRate: Number.NaN }, /positionLearningRate is NaN/],
    [{ decay: 1 } as never, /decay is no setting/],
  ])('refuses %o', (config, message) => {
    expect(() => build(config)).toThrow(message);
    expect(() => build(config)).toThrow(OutOfRangeError);
  });
});
