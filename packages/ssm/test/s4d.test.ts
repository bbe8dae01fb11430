import { type Device, grad, OutOfRangeError, RandomGenerator, reference, type Tensor } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Discretization, discretizations, S4D, type S4DConfig } from '../src/index';
import { disposeEmpty, evaluate, upload } from './harness';
import { expectNumbers, golden, missing } from './golden';

describe('S4D', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => disposeEmpty(device));

  const build = (config: S4DConfig, parameters: Record<string, number[]> = {}): S4D => {
    const random = new RandomGenerator(3, device);
    let layer: S4D;
    try {
      layer = new S4D(config, random);
    } finally {
      random.dispose();
    }
    const found = layer.stateDict();
    for (const [path, v] of Object.entries(parameters)) found.get(path)?.write(Float64Array.from(v));
    return layer;
  };
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);

  it('has the parameters of the s4 repository, and says how to train them', () => {
    const layer = build({ dModel: 6, dState: 8, nSsm: 3 });
    const shapes = Object.fromEntries([...layer.stateDict()].map(([path, v]) => [path, v.shape]));
    expect(shapes).toEqual({
      'kernel.inv_dt': [6, 1],
      'kernel.A_real': [3, 4],
      'kernel.A_imag': [3, 4],
      'kernel.B': [1, 3, 4, 2],
      'kernel.C': [1, 6, 4, 2],
      D: [1, 6],
    });
    for (const path of ['inv_dt', 'A_real', 'A_imag', 'B'])
      expect(layer.parameters().get(`kernel.${path}`)?.metadata).toEqual({ learningRate: 0.001, weightDecay: false });
    for (const path of ['kernel.C', 'D']) expect(layer.parameters().get(path)?.metadata).toEqual({});
    layer.dispose();
  });

  it('starts with steps between dtMin and dtMax and a C of variance 1', () => {
    const layer = build({ dModel: 300, dState: 64, dtMin: 0.01, dtMax: 0.02 });
    for (const logDt of layer.kernel.inv_dt.dataSync())
      expect(logDt >= Math.log(0.01) && logDt <= Math.log(0.02)).toBe(true);
    const C = layer.kernel.C.dataSync();
    expect((2 * Array.from(C).reduce((s, c) => s + c * c, 0)) / C.length).toBeCloseTo(1, 1);
    layer.dispose();
  });

  it.each([
    [{ dModel: 0 }, /dModel is 0/],
    [{ dModel: 4, dState: 5 }, /dState is 5, expected an even number/],
    [{ dModel: 4, nSsm: 3 }, /nSsm is 3, expected a divisor/],
    [{ dModel: 4, init: 'fancy' as never }, /init is "fancy", expected one of lin/],
    [{ dModel: 4, dtMin: -1 }, /dtMin is -1/],
    [{ dModel: 4, dtMin: 0.1, dtMax: 0.01 }, /dtMax is 0.01, expected a number >= dtMin/],
    [{ dModel: 4, bClip: Number.NaN }, /bClip is NaN/],
  ])('refuses %o', (config, message) => {
    expect(() => build(config)).toThrow(message);
    expect(() => build(config)).toThrow(OutOfRangeError);
  });

  for (const init of ['lin', 'inv', 'legs', 'real'] as const) {
    it.skipIf(missing(`s4d_${init}_kernel_N4_L8_dt0.1_Cones`))(
      `s4d_${init}_kernel_N4_L8_dt0.1_Cones: kernel, output and states`,
      async () => {
        const { inputs, outputs } = golden<
          { dt: number; u: number[] },
          Record<Discretization, { K: number[]; y_of_u: number[]; state_after_each_step: number[][][][] }>
        >(`s4d_${init}_kernel_N4_L8_dt0.1_Cones`);
        for (const discretization of discretizations) {
          const expected = outputs[discretization];
          const pairs = init === 'real' ? [1, 1, 1, 1] : [1, 0, 1, 0];
          const layer = build(
            { dModel: 1, dState: 4, init, discretization },
            { 'kernel.inv_dt': [Math.log(inputs.dt)], 'kernel.B': pairs, 'kernel.C': pairs, D: [0] },
          );
          expectNumbers(
            await evaluate(() => layer.forward(host([1, 0, 0, 0, 0, 0, 0, 0], 1, 8, 1))),
            expected.K,
            1e-12,
          );
          expectNumbers(await evaluate(() => layer.forward(host(inputs.u, 1, 8, 1))), expected.y_of_u, 1e-12);
          // λ is stored by the other one of each conjugate pair.
          const last = expected.state_after_each_step[7].flat(3);
          const found = await evaluate(() => layer.prefill(host(inputs.u, 1, 8, 1))[1].ssm);
          expectNumbers(
            found.map((v, i) => (i % 2 === 0 ? v : -v)),
            last,
            1e-12,
          );
          layer.dispose();
        }
      },
    );
  }

  it.skipIf(missing('s4d_initial_state_response'))('s4d_initial_state_response: response to a state', async () => {
    const { inputs, outputs } = golden<{ dt: number; L: number; x0: number[][] }, { y: number[] }>(
      's4d_initial_state_response',
    );
    const layer = build(
      { dModel: 1, dState: 4 },
      { 'kernel.inv_dt': [Math.log(inputs.dt)], 'kernel.C': [1, 0, 1, 0], D: [0] },
    );
    const state = {
      ssm: host(
        inputs.x0.flatMap(([re, im]) => [re, -im]),
        1,
        1,
        2,
        2,
      ),
    };
    expectNumbers(
      await evaluate(() => layer.prefill(host(new Array(inputs.L).fill(0), 1, inputs.L, 1), state)[0]),
      outputs.y,
      1e-12,
    );
    state.ssm.dispose();
    layer.dispose();
  });

  it.skipIf(missing('s4d_kernel_gradients'))('s4d_kernel_gradients: gradients of the kernel', async () => {
    const { inputs, outputs } = golden<
      Record<'log_dt' | 'log_A_re' | 'A_im' | 'C_re' | 'C_im' | 'g', number[]>,
      { K: number[]; grad: Record<'log_dt' | 'log_A_re' | 'A_im' | 'C_re' | 'C_im', number[]> }
    >('s4d_kernel_gradients');
    const conjugate = inputs.C_re.flatMap((re, n) => [re, -inputs.C_im[n]]);
    const layer = build(
      { dModel: 1, dState: 4 },
      {
        'kernel.inv_dt': inputs.log_dt,
        'kernel.A_real': inputs.log_A_re,
        'kernel.A_imag': inputs.A_im,
        'kernel.C': conjugate,
        D: [0],
      },
    );
    const impulse = (): Tensor => host([1, 0, 0, 0, 0, 0, 0, 0], 1, 8, 1);
    expectNumbers(await evaluate(() => layer.forward(impulse())), outputs.K, 1e-12);
    const gradient = (v: Tensor): Promise<number[]> =>
      evaluate(
        () =>
          grad(
            layer
              .forward(impulse())
              .mul(host(inputs.g, 1, 8, 1))
              .sum(),
            [v],
          )[0],
      );
    const { grad: expected } = outputs;
    expectNumbers(await gradient(layer.kernel.inv_dt), expected.log_dt, 1e-12);
    expectNumbers(await gradient(layer.kernel.A_real), expected.log_A_re, 1e-12);
    // The derivative at a frequency of exactly 0 has the sign of the conjugate's.
    expectNumbers(await gradient(layer.kernel.A_imag as Tensor), expected.A_im, 1e-12);
    expectNumbers(
      await gradient(layer.kernel.C),
      expected.C_re.flatMap((re, n) => [re, -expected.C_im[n]]),
      1e-12,
    );
    layer.dispose();
  });

  it('follows a denser sampling: half the steps, twice the samples', async () => {
    const layer = build({ dModel: 3, dState: 16 });
    const wave = (n: number, rate: number): number[] =>
      Array.from({ length: n * 3 }, (_, i) => Math.sin((Math.floor(i / 3) / rate) * 0.05));
    const coarse = await evaluate(() => layer.forward(host(wave(64, 1), 1, 64, 3)));
    layer.kernel.inv_dt.write(Float64Array.from(layer.kernel.inv_dt.dataSync(), (v) => v - Math.LN2));
    const fine = await evaluate(() => layer.forward(host(wave(128, 2), 1, 128, 3)));
    const size = Math.max(...coarse.map(Math.abs));
    for (let t = 0; t < 64; t++)
      for (let c = 0; c < 3; c++)
        expect(Math.abs(fine[(2 * t + 1) * 3 + c] - coarse[t * 3 + c]) / size).toBeLessThan(0.06);
    layer.dispose();
  });
});
