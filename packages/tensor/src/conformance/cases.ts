import type { BinaryOp, UnaryOp } from '../compile/kernel';
import { checkpoint, customGradient } from '../autograd/grad';
import { Complex } from '../complex';
import { gelu, logSoftmax, relu, silu, softmax, where } from '../functions/elementwise';
import { concat, split, stack } from '../functions/join';
import { causalConv1d, crossEntropy, cumsum, gather, longConv, matmul, scatterAdd, selectiveScan, sort, stateUpdate } from '../functions/routines';
import type { Shape } from '../shape';
import type { Tensor } from '../tensor';

/** A differentiable expression for gradient checks and cross-device comparison. */
export interface DifferentiableCase {
  readonly name: string;
  /** Float inputs with the range their values are drawn from. */
  readonly inputs: readonly { readonly shape: Shape; readonly low: number; readonly high: number }[];
  /** int32 inputs: shape and exclusive upper bound. */
  readonly integers?: readonly { readonly shape: Shape; readonly below: number }[];
  readonly run: (x: readonly Tensor[], i: readonly Tensor[]) => Tensor | readonly Tensor[];
}

export const input = (low: number, high: number, ...shape: number[]): DifferentiableCase['inputs'][number] => ({ shape, low, high });

const unaryRanges: Partial<Record<UnaryOp, readonly [number, number]>> = {
  neg: [-2, 2], abs: [0.1, 2], exp: [-3, 3], expm1: [-2, 2], log: [0.1, 5], log1p: [-0.8, 4], sqrt: [0.2, 4], rsqrt: [0.2, 4], reciprocal: [0.3, 3],
  sin: [-6, 6], cos: [-6, 6], tanh: [-3, 3], erf: [-2, 2], sigmoid: [-6, 6], softplus: [-6, 6],
};

const binaryRanges: Partial<Record<BinaryOp, readonly [number, number]>> = {
  add: [-2, 2], sub: [-2, 2], mul: [-2, 2], div: [0.4, 3], min: [-2, 2], max: [-2, 2], pow: [0.3, 2],
};

const methodOf: Partial<Record<BinaryOp, 'add' | 'sub' | 'mul' | 'div' | 'minimum' | 'maximum' | 'pow'>> = {
  add: 'add', sub: 'sub', mul: 'mul', div: 'div', min: 'minimum', max: 'maximum', pow: 'pow',
};

const unaryCases = Object.entries(unaryRanges).map(([op, [low, high]]): DifferentiableCase => ({
  name: op,
  inputs: [input(low, high, 3, 5)],
  run: ([x]) => x[op as 'exp'](),
}));

const binaryCases = Object.entries(binaryRanges).flatMap(([op, [low, high]]): DifferentiableCase[] => {
  const method = methodOf[op as BinaryOp] as 'add';
  return [
    { name: `${op}, equal shapes`, inputs: [input(low, high, 2, 7), input(low, high, 2, 7)], run: ([x, y]) => x[method](y) },
    { name: `${op}, broadcast`, inputs: [input(low, high, 3, 1, 4), input(low, high, 2, 1)], run: ([x, y]) => x[method](y) },
  ];
});

const viewCases: DifferentiableCase[] = [
  { name: 'reshape', inputs: [input(-1, 1, 2, 3, 4)], run: ([x]) => x.reshape(6, 4).mul(x.reshape(6, 4)) },
  { name: 'permute', inputs: [input(-1, 1, 2, 3, 4)], run: ([x]) => x.permute(2, 0, 1).square() },
  { name: 'reshape of a permutation', inputs: [input(-1, 1, 4, 6)], run: ([x]) => x.transpose().reshape(3, 8).square() },
  { name: 'expand', inputs: [input(-1, 1, 3, 1)], run: ([x]) => x.expand(2, 3, 5).square() },
  { name: 'slice, step 2', inputs: [input(-1, 1, 2, 9)], run: ([x]) => x.slice(1, 1, 8, 2).square() },
  { name: 'slice, step 3 to the end', inputs: [input(-1, 1, 10, 2)], run: ([x]) => x.slice(0, 0, 10, 3).square() },
  { name: 'flip', inputs: [input(-1, 1, 3, 4)], run: ([x]) => x.flip(1).mul(x) },
  { name: 'pad', inputs: [input(-1, 1, 2, 3)], run: ([x]) => x.pad(1, 2, 1).pad(0, 0, 2).add(1).square() },
  { name: 'pad of a computed value', inputs: [input(-1, 1, 2, 3)], run: ([x]) => x.exp().pad(1, 1, 2).cos() },
  { name: 'concat', inputs: [input(-1, 1, 2, 3), input(-1, 1, 2, 2)], run: ([x, y]) => concat([x, y.exp()], 1).square() },
  { name: 'sum with a padded empty array', inputs: [input(-1, 1, 0, 8), input(-1, 1, 2, 8)], run: ([x, y]) => x.pad(0, 1, 1).add(y).square() },
  { name: 'stack', inputs: [input(-1, 1, 2, 3), input(-1, 1, 2, 3)], run: ([x, y]) => stack([x, y], 1).square() },
  { name: 'split', inputs: [input(-1, 1, 2, 7)], run: ([x]) => split(x, [2, 5], 1).map((p) => p.square()) },
  { name: 'squeeze and unsqueeze', inputs: [input(-1, 1, 2, 1, 3)], run: ([x]) => x.squeeze(1).unsqueeze(0).square() },
];

const reductionCases: DifferentiableCase[] = [
  { name: 'sum over all', inputs: [input(-1, 1, 3, 4)], run: ([x]) => x.square().sum() },
  { name: 'sum over the first axis', inputs: [input(-1, 1, 5, 6)], run: ([x]) => x.square().sum(0) },
  { name: 'sum over the last axis', inputs: [input(-1, 1, 5, 6)], run: ([x]) => x.square().sum(-1).exp() },
  { name: 'sum over outer and inner axes', inputs: [input(-1, 1, 3, 4, 5)], run: ([x]) => x.exp().sum([0, 2], true).mul(x) },
  { name: 'mean', inputs: [input(-1, 1, 3, 4)], run: ([x]) => x.mean(1).square() },
  { name: 'max', inputs: [input(-1, 1, 4, 5)], run: ([x]) => x.max(1).square() },
  { name: 'min', inputs: [input(-1, 1, 4, 5)], run: ([x]) => x.min(0).exp() },
  { name: 'reduction of a reduction', inputs: [input(-1, 1, 3, 4, 2)], run: ([x]) => x.square().sum(2).sqrt().sum(1) },
  { name: 'variance', inputs: [input(-1, 1, 3, 8)], run: ([x]) => x.sub(x.mean(1, true)).square().mean(1).add(1e-3).rsqrt() },
];

const compositeCases: DifferentiableCase[] = [
  { name: 'where', inputs: [input(-1, 1, 3, 4), input(-1, 1, 4)], run: ([x, y]) => where(x.greater(0.1), x.mul(y), y.exp()) },
  { name: 'cast to bool and back blocks the gradient', inputs: [input(-1, 1, 6)], run: ([x]) => x.greater(0).cast('float32').mul(x) },
  { name: 'relu', inputs: [input(-1, 1, 9)], run: ([x]) => relu(x) },
  { name: 'silu', inputs: [input(-4, 4, 9)], run: ([x]) => silu(x) },
  { name: 'gelu', inputs: [input(-3, 3, 9)], run: ([x]) => gelu(x) },
  { name: 'gelu, tanh form', inputs: [input(-3, 3, 9)], run: ([x]) => gelu(x, 'tanh') },
  { name: 'softmax', inputs: [input(-2, 2, 3, 5)], run: ([x]) => softmax(x).square() },
  { name: 'logSoftmax along the first axis', inputs: [input(-2, 2, 5, 3)], run: ([x]) => logSoftmax(x, 0).square() },
  { name: 'rms norm', inputs: [input(-1, 1, 4, 6), input(0.5, 1.5, 6)], run: ([x, w]) => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt()).mul(w) },
  { name: 'stopGradient', inputs: [input(-1, 1, 5)], run: ([x]) => x.mul(x.mul(2).stopGradient().cos().add(x)) },
  {
    name: 'customGradient',
    inputs: [input(0.2, 2, 4), input(-1, 1, 4)],
    run: ([x, y]) => customGradient([x, y], (a, b) => a.mul(b).exp(), ([g]) => [g.mul(x.mul(y).exp()).mul(y), g.mul(x.mul(y).exp()).mul(x)]),
  },
  {
    name: 'checkpoint',
    inputs: [input(-1, 1, 3, 4), input(-1, 1, 4, 4)],
    run: ([x, w]) => checkpoint((h: Tensor) => matmul(silu(matmul(h, w)), w).tanh(), [x]).mul(x),
  },
  {
    name: 'checkpoints in a row that share a parameter',
    inputs: [input(-1, 1, 3, 4), input(-1, 1, 4, 4)],
    run: ([x, w]) => {
      let y = x;
      for (let i = 0; i < 3; i++) y = checkpoint((h: Tensor) => silu(matmul(h, w)).add(h), [y]);
      return y;
    },
  },
  {
    name: 'complex exponentials',
    inputs: [input(-1, 0, 3, 2), input(-2, 2, 3, 2)],
    run: ([re, im]) => new Complex(re, im).exp().mul(new Complex(re, im).expm1()).div(new Complex(im.add(3), re)).toPairs(),
  },
];

export const scanInputs = (batch: number, length: number, channels: number, dState: number, groups: number): DifferentiableCase['inputs'] => [
  input(-1, 1, batch, length, channels), input(-1, 0.5, batch, length, channels), input(-1.5, -0.1, channels, dState),
  input(-1, 1, batch, length, groups, dState), input(-1, 1, batch, length, groups, dState), input(-1, 1, channels), input(-1, 1, batch, length, channels),
  input(-0.5, 0.5, channels), input(-1, 1, batch, channels, dState),
];

const routineCases: DifferentiableCase[] = [
  { name: 'matmul', inputs: [input(-1, 1, 5, 3), input(-1, 1, 3, 4)], run: ([a, b]) => matmul(a, b) },
  { name: 'matmul, a transposed', inputs: [input(-1, 1, 3, 5), input(-1, 1, 3, 4)], run: ([a, b]) => matmul(a, b, { transposeA: true }) },
  { name: 'matmul, b transposed', inputs: [input(-1, 1, 5, 3), input(-1, 1, 4, 3)], run: ([a, b]) => matmul(a, b, { transposeB: true }) },
  { name: 'matmul, both transposed', inputs: [input(-1, 1, 3, 5), input(-1, 1, 4, 3)], run: ([a, b]) => matmul(a, b, { transposeA: true, transposeB: true }) },
  { name: 'matmul, batched', inputs: [input(-1, 1, 2, 3, 4), input(-1, 1, 2, 4, 5)], run: ([a, b]) => matmul(a, b) },
  { name: 'matmul, batch broadcast', inputs: [input(-1, 1, 2, 1, 3, 4), input(-1, 1, 3, 4, 2)], run: ([a, b]) => matmul(a, b) },
  { name: 'matmul, many rows by one matrix', inputs: [input(-1, 1, 2, 3, 4), input(-1, 1, 6, 4)], run: ([a, b]) => matmul(a, b, { transposeB: true }) },
  { name: 'causalConv1d', inputs: [input(-1, 1, 2, 6, 3), input(-1, 1, 3, 4), input(-1, 1, 3)], run: ([x, w, b]) => causalConv1d(x, w, { bias: b }) },
  {
    name: 'causalConv1d, initial and resets',
    inputs: [input(-1, 1, 2, 6, 3), input(-1, 1, 3, 4), input(-1, 1, 2, 3, 3)],
    integers: [{ shape: [2, 6], below: 2 }],
    run: ([x, w, initial], [resets]) => causalConv1d(x, w, { initial, resets }),
  },
  { name: 'causalConv1d through SiLU', inputs: [input(-2, 2, 2, 6, 4), input(-1, 1, 4, 4), input(-1, 1, 4)], run: ([x, w, b]) => causalConv1d(x, w, { bias: b, silu: true }) },
  {
    name: 'causalConv1d through SiLU, initial and resets',
    inputs: [input(-2, 2, 2, 7, 3), input(-1, 1, 3, 3), input(-1, 1, 3), input(-1, 1, 2, 2, 3)],
    integers: [{ shape: [2, 7], below: 2 }],
    run: ([x, w, bias, initial], [resets]) => causalConv1d(x, w, { bias, initial, resets, silu: true }),
  },
  { name: 'longConv', inputs: [input(-1, 1, 2, 7, 3), input(-1, 1, 7, 3)], run: ([u, k]) => longConv(u, k) },
  { name: 'longConv, more taps than samples', inputs: [input(-1, 1, 1, 4, 2), input(-1, 1, 6, 2)], run: ([u, k]) => longConv(u, k) },
  {
    name: 'selectiveScan with everything',
    inputs: scanInputs(2, 5, 4, 3, 2),
    integers: [{ shape: [2, 5], below: 2 }],
    run: ([u, delta, A, B, C, D, z, deltaBias, initialState], [resets]) => {
      const { y, lastState } = selectiveScan({ u, delta, A, B, C, D, z, deltaBias, initialState, resets, deltaSoftplus: true });
      return [y, lastState];
    },
  },
  {
    name: 'selectiveScan, constant B and C, last state only',
    inputs: [input(-1, 1, 1, 4, 2), input(0.1, 0.6, 1, 4, 2), input(-1.5, -0.1, 2, 3), input(-1, 1, 2, 3), input(-1, 1, 2, 3)],
    run: ([u, delta, A, B, C]) => selectiveScan({ u, delta, A, B, C }).lastState,
  },
  {
    name: 'selectiveScan, complex',
    inputs: [input(-1, 1, 1, 5, 2), input(0.1, 0.6, 1, 5, 2), input(-1.5, -0.1, 2, 2, 2), input(-1, 1, 1, 5, 1, 2, 2), input(-1, 1, 2, 2, 2)],
    run: ([u, delta, A, B, C]) => selectiveScan({ u, delta, A, B, C, deltaSoftplus: true }).y,
  },
  {
    name: 'stateUpdate',
    inputs: [
      input(-1, 1, 2, 4, 3), input(-1, 1, 2, 4), input(-1, 0.5, 2, 4), input(-1.5, -0.1, 4, 3), input(-1, 1, 2, 1, 3), input(-1, 1, 2, 1, 3), input(-1, 1, 4),
      input(-1, 1, 2, 4), input(-0.5, 0.5, 4),
    ],
    run: ([state, u, delta, A, B, C, D, z, deltaBias]) => {
      const next = stateUpdate(state, { u, delta, A, B, C, D, z, deltaBias, deltaSoftplus: true });
      return [next.y, next.state];
    },
  },
  ...[1, 6, 40].map((rows): DifferentiableCase => ({
    name: `matmul of ${rows} rows with bias, activation and residual`,
    inputs: [input(-1, 1, rows, 7), input(-1, 1, 12, 7), input(-1, 1, 12), input(-1, 1, rows, 12)],
    run: ([x, w, bias, residual]) => [silu(matmul(x, w, { transposeB: true }).add(bias)).add(residual), matmul(x, w.neg(), { transposeB: true }).add(residual)],
  })),
  { name: 'matmul of a part of a product', inputs: [input(-1, 1, 2, 3, 5), input(-1, 1, 5, 12), input(-1, 1, 4, 6)], run: ([x, w, v]) => matmul(matmul(x, w).slice(-1, 4, 8), v) },
  { name: 'matmul of one row, plus a padded empty array', inputs: [input(-1, 1, 1, 8), input(-1, 1, 4, 8), input(-1, 1, 0, 4)], run: ([x, w, y]) => matmul(x, w, { transposeB: true }).add(y.pad(0, 1, 0)).square() },
  // Rows of a part are as far apart as those of the whole, and so are its matrices.
  ...[8, 5].flatMap((end): DifferentiableCase[] => [
    { name: `batched matmul of a part of a product, ${end - 4} wide`, inputs: [input(-1, 1, 2, 6, 5), input(-1, 1, 2, 5, 8), input(-1, 1, 2, 3, end - 4)], run: ([x, w, v]) => matmul(matmul(x, w).slice(-1, 4, end), v, { transposeB: true }) },
    { name: `batched matmul of a part of a product, transposed, ${end - 4} wide`, inputs: [input(-1, 1, 2, 6, 5), input(-1, 1, 2, 5, 8), input(-1, 1, 2, 6, 3)], run: ([x, w, v]) => matmul(matmul(x, w).slice(-1, 4, end), v, { transposeA: true }) },
  ]),
  { name: 'causalConv1d of a part of a product', inputs: [input(-1, 1, 2, 9, 5), input(-1, 1, 5, 12), input(-1, 1, 4, 3)], run: ([x, w, taps]) => causalConv1d(matmul(x, w).slice(-1, 4, 8), taps) },
  {
    name: 'stateUpdate of parts of a product',
    inputs: [input(-1, 1, 3, 4, 4), input(-1, 1, 3, 5), input(-1, 1, 5, 28), input(-1.5, -0.1, 4, 4)],
    run: ([state, x, w, A]) => {
      const parts = matmul(x, w);
      const part = (at: number, width: number): Tensor => parts.slice(-1, at, at + width);
      const coefficients = (at: number): Tensor => part(at, 8).reshape(3, 2, 4);
      const next = stateUpdate(state, { u: part(0, 4), delta: part(4, 4), A, B: coefficients(12), C: coefficients(20), z: part(8, 4), deltaSoftplus: true });
      return [next.y, next.state];
    },
  },
  { name: 'gather', inputs: [input(-1, 1, 5, 3)], integers: [{ shape: [2, 4], below: 5 }], run: ([table], [ids]) => gather(table, ids).square() },
  { name: 'scatterAdd', inputs: [input(-1, 1, 6, 3)], integers: [{ shape: [6], below: 4 }], run: ([x], [ids]) => scatterAdd(x, ids, 4).square() },
  { name: 'crossEntropy', inputs: [input(-2, 2, 2, 3, 5)], integers: [{ shape: [2, 3], below: 5 }], run: ([x], [t]) => crossEntropy(x, t, { ignoreIndex: 2 }) },
  { name: 'sort', inputs: [input(-1, 1, 3, 7)], run: ([x]) => sort(x).values.mul(x) },
  { name: 'cumsum', inputs: [input(-1, 1, 2, 5, 3)], run: ([x]) => cumsum(x, 1).square() },
  { name: 'cumsum from the end', inputs: [input(-1, 1, 2, 5)], run: ([x]) => cumsum(x, 1, true).square() },
];

/** Every primitive and routine that has a gradient, at least once, small and odd-sized. */
export const differentiableCases: readonly DifferentiableCase[] = [...unaryCases, ...binaryCases, ...viewCases, ...reductionCases, ...compositeCases, ...routineCases];
