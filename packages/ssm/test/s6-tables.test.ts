import { type Device, RandomGenerator, reference } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { S6, type S6Config } from '../src/index';
import { expectNumbers } from './golden';
import { disposeEmpty, evaluate, upload } from './harness';

/* Every switch of the Mamba paper's tables 7 to 10, against algorithms 1 and 2 in plain loops over the layer's parameters. */

const dModel = 6;
const length = 9;
const both = [true, false];
const tables: Readonly<Record<string, readonly Omit<S6Config, 'dModel'>[]>> = {
  '7 (what is selective)': both.flatMap((delta) =>
    both.flatMap((B) => both.map((C) => ({ dState: 4, selective: { delta, B, C } }))),
  ),
  '8 (A)': (['s4d-lin', 'minus-half-plus-ni', 'minus-half', 's4d-real', 'random'] as const).map((aInit) => ({
    dState: 4,
    aInit,
  })),
  '9 (rank of Δ)': [0, 1, 2, 4, 8, 16, 32, 64].map((dtRank) => ({ dState: 2, dtRank })),
  '10 (N, static B and C)': [1, 2, 4, 8, 16].map((dState) => ({ dState, selective: { B: false, C: false } })),
  '10 (N, selective B and C)': [1, 2, 4, 8, 16].map((dState) => ({ dState })),
  'audio (complex, each switch)': both.flatMap((B) =>
    both.map((C) => ({ dState: 4, aInit: 's4d-lin' as const, selective: { B, C } })),
  ),
};

/** A complex number. */
type Pair = readonly [number, number];
const times = (a: Pair, b: Pair): Pair => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];

/** y of x, (length, dModel) row-major, by the recurrence as the paper writes it. */
function recurrence(layer: S6, x: readonly number[], config: Omit<S6Config, 'dModel'>): number[] {
  const values = new Map([...layer.stateDict()].map(([path, v]) => [path, v.dataSync()]));
  const complex = layer.A_imag !== null;
  const modes = (config.dState as number) / (complex ? 2 : 1);
  const perState = complex ? 2 : 1;
  const rank = layer.dt_proj.weight ? layer.dt_proj.weight.shape[1] : 0;
  const at = (path: string, i: number): number => (values.get(path) as ArrayLike<number>)[i];
  const pair = (v: (i: number) => number, n: number): Pair => (complex ? [v(2 * n), v(2 * n + 1)] : [v(n), 0]);
  const state = Array.from({ length: dModel * modes }, (): Pair => [0, 0]);
  const y: number[] = [];
  for (let t = 0; t < length; t++) {
    const u = x.slice(t * dModel, (t + 1) * dModel);
    const projected = (row: number): number =>
      u.reduce((sum, v, d) => sum + at('x_proj.weight', row * dModel + d) * v, 0);
    const firstC = rank + (layer.B ? 0 : modes * perState);
    for (let d = 0; d < dModel; d++) {
      let raw = at('dt_proj.bias', d);
      for (let r = 0; r < rank; r++) raw += at('dt_proj.weight', d * rank + r) * projected(r);
      const dt = Math.log1p(Math.exp(raw));
      let sum = 0;
      for (let n = 0; n < modes; n++) {
        const i = d * modes + n;
        const A: Pair = [-Math.exp(at('A_log', i)), complex ? at('A_imag', i) : 0];
        const B = layer.B ? pair((k) => at('B', k), i) : pair((k) => projected(rank + k), n);
        const C = layer.C ? pair((k) => at('C', k), i) : pair((k) => projected(firstC + k), n);
        const size = Math.exp(dt * A[0]);
        const decay: Pair = [size * Math.cos(dt * A[1]), size * Math.sin(dt * A[1])];
        const kept = times(decay, state[i]);
        state[i] = [kept[0] + dt * B[0] * u[d], kept[1] + dt * B[1] * u[d]];
        sum += perState * times(C, state[i])[0];
      }
      y.push(sum + at('D', d) * u[d]);
    }
  }
  return y;
}

describe('S6 with every switch of the paper', () => {
  let device: Device;
  let random: RandomGenerator;
  beforeAll(async () => {
    device = await reference();
    random = new RandomGenerator(3, device);
  });
  afterAll(() => {
    random.dispose();
    disposeEmpty(device);
  });

  for (const [table, configs] of Object.entries(tables)) {
    it.each(configs.map((config) => [config]))(`table ${table}: %o`, async (config) => {
      const layer = new S6({ dModel, ...config }, random);
      const x = Array.from({ length: length * dModel }, (_, i) => Math.sin(i * i + 1));
      const expected = recurrence(layer, x, config);
      expectNumbers(await evaluate(() => layer.forward(upload(device, x, 1, length, dModel))), expected, 1e-12);
      expect(layer.dt_proj.weight === null).toBe(config.dtRank === 0 || config.selective?.delta === false);
      layer.dispose();
    });
  }

  it('A starts as table 8 says', () => {
    const starts = (aInit: S6Config['aInit']): number[][] => {
      const layer = new S6({ dModel: 2, dState: 4, aInit }, random);
      const found = [layer.A_log, layer.A_imag].map((v) => (v ? Array.from(v.dataSync()) : []));
      layer.dispose();
      return [found[0].map((a) => -Math.exp(a)), found[1]];
    };
    expectNumbers(starts('s4d-real')[0], [-1, -2, -3, -4, -1, -2, -3, -4], 1e-14);
    expectNumbers(starts('minus-half')[0], new Array(8).fill(-0.5), 1e-14);
    expectNumbers(starts('s4d-lin')[0], new Array(4).fill(-0.5), 1e-14);
    expectNumbers(starts('s4d-lin')[1], [0, Math.PI, 0, Math.PI], 1e-14);
    expectNumbers(starts('minus-half-plus-ni')[1], [0, 1, 0, 1], 1e-14);
    const drawn = starts('random')[0].map((a) => Math.log(-a));
    expect(new Set(drawn).size).toBe(8);
    expect(Math.max(...drawn.map(Math.abs))).toBeLessThan(5);
  });

  it('B and C that are not selective start as S4D’s, or at the scale of a projection', () => {
    const starts = (constantInit: S6Config['constantInit'], aInit: S6Config['aInit']): number[][] => {
      const selective = { B: false, C: false };
      const layer = new S6({ dModel: 100, dState: 8, aInit, selective, constantInit }, random);
      const found = [layer.B, layer.C].map((v) => Array.from(v?.dataSync() ?? []));
      layer.dispose();
      return found;
    };
    const deviation = (v: readonly number[]): number => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0) / v.length);
    for (const aInit of ['s4d-real', 's4d-lin'] as const) {
      const [B, C] = starts('s4d', aInit);
      expect(B).toEqual(B.map((_, i) => (aInit === 's4d-lin' && i % 2 === 1 ? 0 : 1)));
      expect(deviation(C)).toBeCloseTo(aInit === 's4d-lin' ? Math.SQRT1_2 : 1, 1);
      for (const v of starts('linear', aInit)) {
        expect(Math.max(...v.map(Math.abs))).toBeLessThanOrEqual(0.1);
        expect(deviation(v)).toBeCloseTo(0.1 / Math.sqrt(3), 2);
      }
    }
  });
});
