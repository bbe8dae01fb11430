import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runParity } from '../src/command-line';

/* Golden cases of other sizes and numbers than the published ones, by plain loops. */

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parity-golden-'));
});
afterEach(() => rm(folder, { recursive: true }));

interface Entry {
  readonly inputs: object;
  readonly outputs: object;
}

/** Checks that all of `cases` pass, and nothing in them is left over. */
async function expectCovered(cases: Record<string, Entry>): Promise<void> {
  await mkdir(join(folder, 'golden'));
  await writeFile(join(folder, 'golden', 'golden.json'), JSON.stringify({ cases }));
  const lines: string[] = [];
  const code = await runParity([folder], (line) => lines.push(line));
  expect(lines.filter((line) => /^golden .* (MISS.*|not yet covered)$/.test(line))).toEqual([]);
  for (const name of Object.keys(cases)) expect(lines.some((line) => line.includes(` ${name} `))).toBe(true);
  expect(code).toBe(0);
}

type ComplexNumber = readonly [number, number];
const add = (a: ComplexNumber, b: ComplexNumber): ComplexNumber => [a[0] + b[0], a[1] + b[1]];
const mul = (a: ComplexNumber, b: ComplexNumber): ComplexNumber => [
  a[0] * b[0] - a[1] * b[1],
  a[0] * b[1] + a[1] * b[0],
];
const scale = (a: ComplexNumber, by: number): ComplexNumber => [a[0] * by, a[1] * by];
const exp = (a: ComplexNumber): ComplexNumber => [Math.exp(a[0]) * Math.cos(a[1]), Math.exp(a[0]) * Math.sin(a[1])];
const divide = (a: ComplexNumber, b: ComplexNumber): ComplexNumber =>
  scale(mul(a, [b[0], -b[1]]), 1 / (b[0] ** 2 + b[1] ** 2));

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const silu = (x: number): number => x * sigmoid(x);
const softplus = (x: number): number => Math.log1p(Math.exp(x));
const count = (length: number): number[] => Array.from({ length }, (_, i) => i);
/** Numbers of all signs in (−1, 1), always the same. */
const noise = (length: number, seed: number): number[] =>
  count(length).map((i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));

function convolve(u: readonly number[], k: readonly number[]): number[] {
  return u.map((_, t) => k.reduce((sum, tap, j) => sum + (j <= t ? tap * u[t - j]! : 0), 0));
}

describe('HiPPO and S4D', () => {
  test('HiPPO of two states, whose frequencies are ±√3/2', async () => {
    const [A, B, P] = [
      [
        [-1, 0],
        [-Math.sqrt(3), -2],
      ],
      [1, Math.sqrt(3)],
      [Math.SQRT1_2, Math.sqrt(1.5)],
    ];
    const half = Math.sqrt(3) / 2;
    await expectCovered({
      hippo_legs_nplr_N2: {
        inputs: { N: 2 },
        outputs: {
          ...{
            A,
            B,
            P,
            S_normal_part: [
              [-0.5, half],
              [-half, -0.5],
            ],
            eig_real_all: -0.5,
          },
          ...{ eig_imag_ascending: [-half, half], absP2_per_eig_ascending: [1, 1], absB2_per_eig_ascending: [2, 2] },
          ...{ B_equals_sqrt2_times_P: true, sum_absP2: 2 },
        },
      },
      hippo_legs_eig_imag_N2: {
        inputs: { N: 2 },
        outputs: {
          eig_imag_positive_ascending: [half],
          absB_positive_ascending: [Math.SQRT2],
          N2_over_pi: 4 / Math.PI,
        },
      },
      s4d_inits_N6: {
        inputs: { N: 6 },
        outputs: {
          lin: count(3).map((n) => [-0.5, Math.PI * n]),
          quad: count(3).map((n) => [-0.5, (2 * n + 1) ** 2 / Math.PI]),
          real: count(6).map((n) => -(n + 1)),
        },
      },
    });
  });

  /** One channel by its recurrence. */
  function channel(
    poles: readonly ComplexNumber[],
    real: boolean,
    dt: number,
    B: readonly ComplexNumber[],
    C: readonly ComplexNumber[],
    D: number,
    u: readonly number[],
  ) {
    const results: Record<string, object> = {};
    for (const kind of ['zoh', 'bilinear']) {
      const discrete = poles.map((pole): [ComplexNumber, ComplexNumber] => {
        const z = scale(pole, dt);
        if (kind === 'zoh') return [exp(z), divide(add(exp(z), [-1, 0]), pole)];
        const below = add([1, 0], scale(z, -0.5));
        return [divide(add([1, 0], scale(z, 0.5)), below), divide([dt, 0], below)];
      });
      const runOn = (input: readonly number[], skip: number): { y: number[]; states: ComplexNumber[][] } => {
        let state = poles.map((): ComplexNumber => [0, 0]);
        const states: ComplexNumber[][] = [];
        const y = input.map((sample) => {
          state = state.map((x, n) => add(mul(discrete[n]![0], x), scale(mul(discrete[n]![1], B[n]!), sample)));
          states.push(state);
          return state.reduce((sum, x, n) => sum + (real ? 1 : 2) * mul(C[n]!, x)[0], skip * sample);
        });
        return { y, states };
      };
      const impulse = u.map((_, t) => Number(t === 0));
      const { y, states } = runOn(u, D);
      results[kind] = { K: runOn(impulse, 0).y, y_of_u: y, state_after_each_step: states };
    }
    return results;
  }

  test('kernels of other sizes, with B, C and D of their own', async () => {
    const u = noise(11, 1);
    const poles = count(3).map((n): ComplexNumber => [-0.5, (2 * n + 1) ** 2 / Math.PI]);
    const pair = (seed: number): ComplexNumber[] => count(3).map((n) => [noise(3, seed)[n]!, noise(3, seed + 1)[n]!]);
    const [B, C] = [pair(2), pair(4)];
    const real = count(5).map((n): ComplexNumber => [-(n + 1), 0]);
    const realB = noise(5, 6);
    const ofReal = realB.map((value): ComplexNumber => [value, 0]);
    const ones = real.map((): ComplexNumber => [1, 0]);
    await expectCovered({
      s4d_quad_kernel_N6_L11: {
        inputs: { N: 6, L: 11, dt: 0.07, B, C, D: 0.3, u },
        outputs: { A: poles, ...channel(poles, false, 0.07, B, C, 0.3, u) },
      },
      s4d_real_kernel_N5_L11: {
        inputs: { N: 5, L: 11, dt: 0.2, B: realB, C: 'ones', D: -1, u },
        outputs: { A: real.map(([re]) => re), ...channel(real, true, 0.2, ofReal, ones, -1, u) },
      },
    });
  });

  test('powers, initial states, steps and discretisation of other numbers', async () => {
    const x: ComplexNumber[] = [
      [-0.3, 1],
      [-0.01, 0.2],
      [-2, -3],
    ];
    const v: ComplexNumber[] = [
      [1, 2],
      [-1, 0.5],
      [0.1, 0.3],
    ];
    const sums = count(9).map((l) => v.map((weight, n) => mul(weight, exp(scale(x[n]!, l)))).reduce(add));
    const A: ComplexNumber[] = [
      [-1, 2],
      [-0.1, 0.3],
      [-0.5, 9],
    ];
    const left = count(4).map(
      (l) => 2 * A.map((pole, n) => mul(v[n]!, exp(scale(pole, 0.3 * (l + 1))))).reduce(add)[0],
    );
    const range = { dt_min: 0.01, dt_max: 0.5 };
    const dt = [0.1, 0.9].map((U) => Math.exp(Math.log(0.01) + U * Math.log(50)));
    const z: ComplexNumber = [-0.6, 0.8];
    const below = add([1, 0], scale(z, -0.5));
    const row = {
      ...{ lambda: [-3, 4], dt: 0.2 },
      zoh: { dA: exp(z), dB_over_B: divide(add(exp(z), [-1, 0]), [-3, 4]) },
      bilinear: { dA: divide(add([1, 0], scale(z, 0.5)), below), dB_over_B: divide([0.2, 0], below) },
      mamba: { dA: exp(z), dB_over_B: [0.2, 0] },
    };
    await expectCovered({
      log_vandermonde: { inputs: { v, x, L: 9 }, outputs: { K: sums.map(([re]) => 2 * re), complex: sums } },
      s4d_initial_state_response: { inputs: { A, x0: v, dt: 0.3, L: 4 }, outputs: { y: left } },
      dt_init: {
        inputs: { ...range, U: [0.1, 0.9] },
        outputs: { dt, bias: dt.map((step) => step + Math.log(-Math.expm1(-step))) },
      },
      // The inputs of a row stand among the outputs, and are read as them.
      discretize_scalar: { inputs: {}, outputs: { rows: [row] } },
    });
  });
});

describe('layers', () => {
  test('convolutions with kernels shorter and longer than the input', async () => {
    const long = (length: number, taps: number): Entry => {
      const [u, k, g] = [noise(length, 1), noise(taps, 2), noise(length, 3)];
      const at = (values: readonly number[], i: number): number => values[i] ?? 0;
      const circular = u.map((_, t) =>
        k.reduce((sum, tap, j) => sum + tap * u[(((t - j) % length) + length) % length]!, 0),
      );
      return {
        inputs: { u, k, g },
        outputs: {
          y: convolve(u, k),
          du: u.map((_, s) => g.reduce((sum, grad, t) => sum + grad * at(k, t - s), 0)),
          dk: k.map((_, j) => g.reduce((sum, grad, t) => sum + grad * at(u, t - j), 0)),
          wrong_circular_no_padding: circular,
        },
      };
    };
    const [u, w] = [noise(7, 4), noise(3, 5)];
    const y = convolve(u, w.toReversed()).map((value) => value - 0.4);
    await expectCovered({
      fftconv_causal_short: long(9, 3),
      fftconv_causal_long: long(4, 11),
      causal_depthwise_conv1d_width3: { inputs: { u, w, b: -0.4 }, outputs: { y, silu_y: y.map(silu) } },
    });
  });

  test('norms, activations and losses of other numbers', async () => {
    const x = noise(6, 1).map((value) => 3 * value);
    const mean = x.reduce((sum, value) => sum + value, 0) / 6;
    const square = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value * value, 0) / values.length;
    const centered = x.map((value) => value - mean);
    const root = (values: readonly number[], eps: number): number => Math.sqrt(square(values) + eps);
    const z = noise(6, 2);
    const gated = x.map((value, i) => value * silu(z[i]!));
    await expectCovered({
      norms: {
        inputs: { x, eps: 0.01 },
        outputs: {
          rms: x.map((value) => value / root(x, 0.01)),
          layer: centered.map((value) => value / root(centered, 0.01)),
        },
      },
      norm_variants: {
        inputs: { y: x, z },
        outputs: { mamba2_gated_rms: gated.map((value) => value / root(gated, 1e-5)) },
      },
      activations: {
        inputs: { x },
        outputs: { silu: x.map(silu), sigmoid: x.map(sigmoid), softplus: x.map(softplus) },
      },
      bits_per_byte: {
        inputs: { nll_nats: [0.5, 1, 7] },
        outputs: { bpb: [0.5, 1, 7].map((nats) => nats / Math.LN2) },
      },
    });
  });

  /** The Mamba block by plain loops. */
  function mambaBlock(d: number, inner: number, N: number, R: number, width: number, length: number): Entry {
    const matrix = (rows: number, columns: number, seed: number): number[][] =>
      count(rows).map((row) => noise(columns, seed + 10 * row));
    const times = (m: readonly (readonly number[])[], v: readonly number[]): number[] =>
      m.map((row) => row.reduce((sum, value, i) => sum + value * v[i]!, 0));
    const x = matrix(length, d, 1);
    const weights = {
      ...{ d_model: d, d_inner: inner, N, dt_rank: R, d_conv: width },
      in_W: matrix(2 * inner, d, 2),
      conv_w: matrix(inner, width, 3),
      conv_b: noise(inner, 4),
      x_W: matrix(R + 2 * N, inner, 5),
      dt_W: matrix(inner, R, 6),
      dt_b: noise(inner, 7),
      A_log: matrix(inner, N, 8),
      D: noise(inner, 9),
      out_W: matrix(d, inner, 10),
    };
    const xz = x.map((row) => times(weights.in_W, row));
    const before = (c: number, t: number): number => xz[t]?.[c] ?? 0;
    const h = matrix(inner, N, 0).map((row) => row.map(() => 0));
    const [convolved, projected, y]: number[][][] = [[], [], []];
    for (const t of count(length)) {
      const u = count(inner).map((c) =>
        silu(
          count(width).reduce(
            (sum, j) => sum + weights.conv_w[c]![j]! * before(c, t - width + 1 + j),
            weights.conv_b[c]!,
          ),
        ),
      );
      const row = times(weights.x_W, u);
      const dt = times(weights.dt_W, row.slice(0, R)).map((value, c) => softplus(value + weights.dt_b[c]!));
      const gated = u.map((value, c) => {
        let out = weights.D[c]! * value;
        for (const n of count(N)) {
          const decay = Math.exp(-dt[c]! * Math.exp(weights.A_log[c]![n]!));
          h[c]![n] = decay * h[c]![n]! + dt[c]! * row[R + n]! * value;
          out += row[R + N + n]! * h[c]![n]!;
        }
        return out * silu(xz[t]![inner + c]!);
      });
      convolved!.push(u);
      projected!.push(row);
      y!.push(times(weights.out_W, gated));
    }
    const window = count(inner).map((c) => count(width).map((j) => before(c, length - width + j)));
    return {
      inputs: { x, weights },
      outputs: { after_conv_silu: convolved, x_proj: projected, y, final_conv_state: window, final_ssm_state: h },
    };
  }

  test('Mamba blocks of other sizes, down to one sample', async () => {
    await expectCovered({
      mamba_block_d3_L7: mambaBlock(3, 9, 4, 2, 3, 7),
      mamba_block_d4_L1: mambaBlock(4, 4, 1, 3, 4, 1),
    });
  });
});

describe('models and tasks', () => {
  test('numbers of parameters of other sizes', async () => {
    const layer = (d: number, inner: number, N: number, R: number): number =>
      2 * inner * d + inner * 5 + (R + 2 * N) * inner + inner * R + inner + inner * N + inner + inner * d + d;
    const large = (N: number, R: number): number => 48 * layer(1024, 2048, N, R) + 1024 + 50264 * 1024;
    await expectCovered({
      param_counts: {
        inputs: {},
        outputs: {
          table9_by_R: { 5: large(16, 5) },
          table10_by_N: { 3: large(3, 64) },
          induction_3x24_V9_untied_R2: 3 * layer(24, 48, 16, 2) + 24 + 2 * 16 * 24,
          induction_1x32_V40_tied_R3: layer(32, 64, 16, 3) + 32 + 40 * 32,
        },
      },
    });
  });

  test('rows of tasks of other sizes', async () => {
    await expectCovered({
      selective_copying_example: {
        inputs: { positions_sorted: [0, 2], tokens: [5, 1], vocab: 9 },
        outputs: { input: [5, 0, 1, 8, 8], target: [5, 1], loss_mask: [0, 0, 0, 1, 1] },
      },
      induction_heads_example: {
        inputs: { input: [7, 3, 0, 7], special: 7 },
        outputs: { target: 3, loss_mask: [0, 0, 0, 1] },
      },
    });
  });
});
