import { type Device, grad, OutOfRangeError, RandomGenerator, reference, scope, type Tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S4, type S4Config, S4D } from '../src/index';
import { expectNumbers } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

describe('S4', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => disposeEmpty(device));

  const build = (config: S4Config, seed = 3): S4 => {
    const random = new RandomGenerator(seed, device);
    try {
      return new S4(config, random);
    } finally {
      random.dispose();
    }
  };
  const wave = (count: number): number[] => Array.from({ length: count }, (_, i) => Math.sin(i * i + 1));
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);

  it('has the parameters of the s4 repository, and says how to train them', () => {
    const layer = build({ dModel: 6, dState: 8, nSsm: 3 });
    const shapes = Object.fromEntries([...layer.stateDict()].map(([path, v]) => [path, v.shape]));
    expect(shapes).toEqual({
      'kernel.inv_dt': [6, 1],
      'kernel.A_real': [3, 4],
      'kernel.A_imag': [3, 4],
      'kernel.B': [1, 3, 4, 2],
      'kernel.P': [1, 3, 4, 2],
      'kernel.C': [1, 6, 4, 2],
      'kernel.l_kernel': [],
      D: [1, 6],
    });
    for (const path of ['inv_dt', 'A_real', 'A_imag', 'B', 'P'])
      expect(layer.parameters().get(`kernel.${path}`)?.metadata).toEqual({ learningRate: 0.001, weightDecay: false });
    for (const path of ['kernel.C', 'D']) expect(layer.parameters().get(path)?.metadata).toEqual({});
    expect(layer.parameters().has('kernel.l_kernel')).toBe(false);
    layer.dispose();
  });

  it('starts with HiPPO, B clipped', () => {
    const layer = build({ dModel: 2, dState: 64 });
    const parts = (x: Tensor): number[] => Array.from(x.dataSync()).filter((_, i) => i % 2 === 0);
    const B = parts(layer.kernel.B);
    expect(Math.max(...B)).toBe(2);
    expect(Math.max(...parts(layer.kernel.P))).toBeGreaterThan(28);
    expect(Math.max(...layer.kernel.A_imag.dataSync())).toBeCloseTo(1303.27, 1);
    layer.dispose();
  });

  // The one generator, so that both draw the same C.
  it.each([3, 16, 64])('learning C̃ of %i samples is the same function as learning C', async (kernelLength) => {
    const [plain, truncated] = [build({ dModel: 3, dState: 6 }), build({ dModel: 3, dState: 6, kernelLength })];
    for (const length of [1, 3, 16, 23]) {
      const x = (): Tensor => host(wave(6 * length), 2, length, 3);
      expectNumbers(await evaluate(() => truncated.forward(x())), await evaluate(() => plain.forward(x())), 1e-9);
    }
    const steps = (layer: S4): Promise<number[]> =>
      evaluate(() => layer.step(host(wave(3), 1, 3), { ssm: host(wave(18), 1, 3, 3, 2) })[0]);
    expectNumbers(await steps(truncated), await steps(plain), 1e-9);
    plain.dispose();
    truncated.dispose();
  });

  it('without low-rank part is S4D by the bilinear rule', async () => {
    const layer = build({ dModel: 3, dState: 6, bClip: null });
    const random = new RandomGenerator(3, device);
    const diagonal = new S4D({ dModel: 3, dState: 6, init: 'legs', discretization: 'bilinear', bClip: null }, random);
    layer.kernel.P.write(new Float64Array(layer.kernel.P.size));
    for (const [path, v] of diagonal.stateDict()) v.write(layer.stateDict().get(path)?.dataSync() as Float64Array);
    const x = (): Tensor => host(wave(60), 1, 20, 3);
    expectNumbers(await evaluate(() => layer.forward(x())), await evaluate(() => diagonal.forward(x())), 1e-11);
    for (const used of [layer, diagonal, random]) used.dispose();
  });

  it('bidirectional: the future of a sequence is the past of its reverse, one sample on', async () => {
    for (const Layer of [S4, S4D]) {
      const random = new RandomGenerator(5, device);
      const [both, one] = [true, false].map(
        (bidirectional) => new Layer({ dModel: 2, dState: 4, bidirectional }, random),
      );
      // The same C on both sides, and no skip.
      const [C, zero] = [Array.from(one.kernel.C.dataSync()), new Float64Array(2)];
      both.kernel.C.write(Float64Array.from([...C, ...C]));
      for (const path of ['inv_dt', 'A_real', 'A_imag', 'B', 'P'])
        both
          .stateDict()
          .get(`kernel.${path}`)
          ?.write(one.stateDict().get(`kernel.${path}`)?.dataSync() as Float64Array);
      for (const layer of [both, one]) layer.D.write(zero);
      const x = (): Tensor => host(wave(14), 1, 7, 2);
      const expected = await evaluate(() => {
        const future = one.forward(x().flip(1)).flip(1).slice(1, 1).pad(1, 0, 1);
        return one.forward(x()).add(future);
      });
      expectNumbers(await evaluate(() => both.forward(x())), expected, 1e-11);
      scope(() => {
        const resets = x().sum(2).cast('int32');
        expect(() => both.forward(x(), { resets })).toThrow(/resets was asked of a bidirectional layer/);
        expect(() => both.step(host([1, 2], 1, 2), both.initialState(1))).toThrow(
          /a state was asked of a bidirectional/,
        );
      });
      for (const used of [both, one, random]) used.dispose();
    }
  });

  it('gives every parameter a gradient, in both forms of C', () => {
    for (const kernelLength of [null, 5]) {
      const layer = build({ dModel: 2, dState: 4, kernelLength });
      scope(() => {
        const x = host(wave(24), 1, 12, 2);
        for (const g of grad(layer.forward(x).square().sum(), [...layer.parameters().values()]))
          expect(Math.max(...Array.from(g.dataSync(), Math.abs))).toBeGreaterThan(0);
      });
      layer.dispose();
    }
  });

  it.each([
    [{ dModel: 0 }, /dModel is 0/],
    [{ dModel: 4, dState: 5 }, /dState is 5, expected an even number/],
    [{ dModel: 4, nSsm: 3 }, /nSsm is 3, expected a divisor/],
    [{ dModel: 4, kernelLength: 0 }, /kernelLength is 0/],
    [{ dModel: 4, bClip: -1 }, /bClip is -1/],
    [{ dModel: 4, rank: 2 } as never, /rank is no setting/],
  ])('refuses %o', (config, message) => {
    expect(() => build(config)).toThrow(message);
    expect(() => build(config)).toThrow(OutOfRangeError);
  });
});
