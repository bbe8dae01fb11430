import {
  type Device,
  grad,
  longConv,
  OutOfRangeError,
  RandomGenerator,
  reference,
  scope,
  type Tensor,
} from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inverseSoftplus, S6, type S6Config } from '../src/index';
import { disposeEmpty, evaluate, upload } from './harness';
import { expectNumbers, golden, missing } from './golden';

const none = { delta: false, B: false, C: false };
describe('S6', () => {
  let device: Device;
  beforeAll(async () => {
    device = await reference();
  });
  afterAll(() => disposeEmpty(device));

  const build = (config: S6Config, parameters: Record<string, number[]> = {}): S6 => {
    const random = new RandomGenerator(3, device);
    let layer: S6;
    try {
      layer = new S6(config, random);
    } finally {
      random.dispose();
    }
    for (const [path, v] of Object.entries(parameters)) layer.stateDict().get(path)?.write(Float64Array.from(v));
    return layer;
  };
  const host = (v: readonly number[], ...shape: number[]): Tensor => upload(device, v, ...shape);
  const shapes = (layer: S6): Record<string, readonly number[]> =>
    Object.fromEntries([...layer.stateDict()].map(([path, v]) => [path, v.shape]));

  it('has the parameters of the checkpoints', () => {
    const layer = build({ dModel: 40 });
    expect(shapes(layer)).toEqual({
      'x_proj.weight': [3 + 32, 40],
      'dt_proj.weight': [40, 3],
      'dt_proj.bias': [40],
      A_log: [40, 16],
      D: [40],
    });
    for (const path of ['A_log', 'D', 'dt_proj.bias'])
      expect(layer.parameters().get(path)?.metadata).toEqual({ weightDecay: false });
    expect(Array.from(layer.A_log.dataSync()).slice(16, 32)).toEqual(
      Array.from({ length: 16 }, (_, n) => Math.log(n + 1)),
    );
    expect(new Set(layer.D.dataSync())).toEqual(new Set([1]));
    layer.dispose();
  });

  it('moves what is not selective out of the projection, parameter for parameter (Mamba, tables 7, 9, 10)', () => {
    const full = build({ dModel: 8, dState: 4, dtRank: 2 });
    const constant = build({ dModel: 8, dState: 4, dtRank: 2, selective: { B: false, C: false } });
    expect(shapes(constant)).toEqual({
      'x_proj.weight': [2, 8],
      'dt_proj.weight': [8, 2],
      'dt_proj.bias': [8],
      A_log: [8, 4],
      D: [8],
      B: [8, 4],
      C: [8, 4],
    });
    expect(constant.parameterCount()).toBe(full.parameterCount());
    const staticDelta = build({ dModel: 8, dState: 4, dtRank: 0 });
    expect(shapes(staticDelta)).toEqual({ 'x_proj.weight': [8, 8], 'dt_proj.bias': [8], A_log: [8, 4], D: [8] });
    const complex = build({ dModel: 8, dState: 4, dtRank: 2, aInit: 's4d-lin' });
    expect(shapes(complex)).toEqual({
      'x_proj.weight': [10, 8],
      'dt_proj.weight': [8, 2],
      'dt_proj.bias': [8],
      A_log: [8, 2],
      A_imag: [8, 2],
      D: [8],
    });
    expect(complex.parameterCount()).toBe(full.parameterCount());
    for (const layer of [full, constant, staticDelta, complex]) layer.dispose();
  });

  it('starts with time steps between dtMin and dtMax', () => {
    const layer = build({ dModel: 200, dtMin: 0.001, dtMax: 0.1 });
    const dt = Array.from(layer.dt_proj.bias.dataSync(), (b) => Math.log1p(Math.exp(b)));
    for (const v of dt) expect(v >= 0.001 * (1 - 1e-9) && v <= 0.1 * (1 + 1e-9)).toBe(true);
    // Log-uniform: the median is the geometric mean.
    expect(dt.sort((a, b) => a - b)[100]).toBeGreaterThan(0.006);
    expect(dt[100]).toBeLessThan(0.016);
    layer.dispose();
  });

  it.skipIf(missing('dt_init'))('dt_init: inverse softplus', async () => {
    const { outputs } = golden<unknown, { dt: number[]; bias: number[] }>('dt_init');
    expectNumbers(await evaluate(() => inverseSoftplus(host(outputs.dt, 5))), outputs.bias, 1e-12);
  });

  it.skipIf(missing('s6_all_static_is_lti'))(
    's6_all_static_is_lti: equals a convolution with K_l = Σ C ΔB exp(lΔA)',
    async () => {
      const { inputs, outputs } = golden<
        Record<'u' | 'A' | 'B[d][n]' | 'C[d][n]', number[][]> & { delta: number[] },
        { K: number[][]; y_core: number[][] }
      >('s6_all_static_is_lti');
      const layer = build(
        { dModel: 2, dState: 2, selective: none },
        {
          A_log: inputs.A.flat().map((a) => Math.log(-a)),
          B: inputs['B[d][n]'].flat(),
          C: inputs['C[d][n]'].flat(),
          D: [0, 0],
          'dt_proj.bias': inputs.delta.map((d) => d + Math.log(-Math.expm1(-d))),
        },
      );
      const channelLast = (rows: number[][]): number[] => rows[0].flatMap((_, t) => rows.map((r) => r[t]));
      const u = channelLast(inputs.u);
      expectNumbers(await evaluate(() => layer.forward(host(u, 1, 4, 2))), channelLast(outputs.y_core), 1e-12);
      expectNumbers(
        await evaluate(() => longConv(host(u, 1, 4, 2), host(channelLast(outputs.K), 4, 2))),
        channelLast(outputs.y_core),
        1e-12,
      );
      layer.dispose();
    },
  );

  it.skipIf(missing('theorem1_gate'))(
    'theorem1_gate: with exact zero-order hold, N = 1, A = −1, B = 1 is a gated recurrence',
    async () => {
      const { inputs, outputs } = golden<{ s: number[]; x: number[] }, { h: number[] }>('theorem1_gate');
      // Channel 0 carries x, channel 1 the logit s that both Δ come from.
      const layer = build(
        { dModel: 2, dState: 1, dtRank: 1, discretization: 'zoh', selective: { B: false, C: false } },
        {
          'x_proj.weight': [0, 1],
          'dt_proj.weight': [1, 1],
          'dt_proj.bias': [0, 0],
          A_log: [0, 0],
          B: [1, 1],
          C: [1, 1],
          D: [0, 0],
        },
      );
      const x = inputs.x.flatMap((v, t) => [v, inputs.s[t]]);
      const y = await evaluate(() => layer.forward(host(x, 1, inputs.x.length, 2)));
      expectNumbers(
        y.filter((_, i) => i % 2 === 0),
        outputs.h,
        1e-12,
      );
      layer.dispose();
    },
  );

  it('with Im A = 0 and half of C, complex is real', async () => {
    const real = build(
      { dModel: 3, dState: 2, selective: none },
      { B: [1, 2, 3, 4, 5, 6], C: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] },
    );
    const pairs = (v: readonly number[], f: number): number[] => v.flatMap((x) => [x * f, 0]);
    const complex = build(
      { dModel: 3, dState: 4, aInit: 's4d-lin', selective: none },
      {
        A_log: Array.from(real.A_log.dataSync()),
        A_imag: [0, 0, 0, 0, 0, 0],
        B: pairs([1, 2, 3, 4, 5, 6], 1),
        C: pairs([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 0.5),
        'dt_proj.bias': Array.from(real.dt_proj.bias.dataSync()),
      },
    );
    const x = Array.from({ length: 21 }, (_, i) => Math.cos(i));
    expectNumbers(
      await evaluate(() => complex.forward(host(x, 1, 7, 3))),
      await evaluate(() => real.forward(host(x, 1, 7, 3))),
      1e-13,
    );
    real.dispose();
    complex.dispose();
  });

  it('gives every parameter a gradient', () => {
    const layer = build({ dModel: 4, dState: 3, dtRank: 2 });
    const gradients = scope(() => {
      const x = host(
        Array.from({ length: 24 }, (_, i) => Math.sin(i * i)),
        1,
        6,
        4,
      );
      return grad(layer.forward(x).square().sum(), [...layer.parameters().values()]).map((g) => g.realize());
    });
    for (const g of gradients) {
      expect(Math.max(...Array.from(g.dataSync(), Math.abs))).toBeGreaterThan(0);
      g.dispose();
    }
    layer.dispose();
  });

  it.each([
    [{ dModel: 4, dtRank: -1 }, /dtRank is -1, expected an integer >= 0/],
    [{ dModel: 4, dState: 3, aInit: 's4d-lin' as const }, /dState is 3, expected an even number/],
    [{ dModel: 4, aInit: 'hippo' as never }, /aInit is "hippo"/],
    [{ dModel: 2.5 }, /dModel is 2.5/],
    [{ dModel: 4, dtInitFloor: 0 }, /dtInitFloor is 0/],
  ])('refuses %o', (config, message) => {
    expect(() => build(config)).toThrow(message);
    expect(() => build(config)).toThrow(OutOfRangeError);
  });

  it('refuses a state of another batch by name', () => {
    const layer = build({ dModel: 4, dState: 3 });
    scope(() => {
      const x = host(new Array(8).fill(1), 2, 4);
      expect(() => layer.step(x, layer.initialState(3))).toThrow(
        /S6: state.ssm has shape \(3, 4, 3\), expected the shape of initialState = \(2, 4, 3\)/,
      );
      expect(() => layer.step(x, {} as never)).toThrow(/S6: state has no ssm/);
    });
    layer.dispose();
  });
});
