import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile, crossEntropy, type Device, DeviceLostError, gather, grad, OutOfRangeError, RandomGenerator, reference, scope, silu, tensor, type Tensor, variable } from '@mamba-ts/tensor';
import { differentiableCases, randomSource, randomValues, relativeError, runCase } from '@mamba-ts/tensor/conformance';
import { webgpu, type WebGpuBackend } from '../../src/index';

/** One case of every kind of kernel and of every routine: the whole suite runs in Node, through the same Dawn. */
const cases = [
  'exp', 'erf', 'pow, broadcast', 'pad of a computed value', 'flip', 'sum over outer and inner axes', 'max', 'softmax', 'rms norm', 'checkpoint', 'matmul, batch broadcast',
  'causalConv1d, initial and resets', 'longConv', 'selectiveScan with everything', 'stateUpdate', 'gather', 'scatterAdd', 'crossEntropy', 'sort', 'cumsum from the end',
];

let device: Device;
let oracle: Device;

beforeAll(async () => {
  device = await webgpu();
  oracle = await reference();
});

afterAll(() => device.dispose());

describe('in the browser, values and gradients against the reference', () => {
  it.each(cases)('%s', async (name) => {
    const c = differentiableCases.find((x) => x.name === name);
    if (!c) throw new Error(`the suite has no case ${name}`);
    const actual = await runCase(c, device);
    const expected = await runCase(c, oracle);
    actual.outputs.forEach((y, i) => expect(relativeError(y, expected.outputs[i])).toBeLessThan(2e-6));
    actual.gradients.forEach((g, i) => expect(relativeError(g, expected.gradients[i])).toBeLessThan(1e-5));
  });
});

/** Losses of a small network with an embedding, dropout and momentum, trained by a compiled step. */
async function losses(on: Device, steps: number): Promise<number[]> {
  const random = randomSource(2);
  const make = (...shape: number[]): ReturnType<typeof variable> => scope(() => variable(tensor(randomValues(random, shape.reduce((a, b) => a * b, 1), -0.5, 0.5), { shape, device: on })));
  const weights = [make(7, 6), make(6, 6), make(7, 6)];
  const moments = weights.map((w) => scope(() => variable(w.mul(0))));
  const generator = new RandomGenerator(11, on);
  const [ids, targets] = [[0, 3, 6, 2, 5], [3, 6, 2, 5, 1]].map((v) => tensor(Int32Array.from(v), { device: on }));
  const step = compile((x: Tensor, y: Tensor) => {
    const h = silu(gather(weights[0], x).mul(generator.bernoulli([5, 6], 0.9)).matmul(weights[1]));
    const loss = crossEntropy(h.matmul(weights[2], { transposeB: true }), y).mean();
    grad(loss, weights).forEach((g, i) => {
      moments[i].assign(moments[i].mul(0.9).add(g));
      weights[i].assign(weights[i].sub(moments[i].mul(0.3)));
    });
    return loss;
  });
  const values: number[] = [];
  for (let i = 0; i < steps; i++) values.push(await step(ids, targets).item());
  return values;
}

it('a compiled training step follows the reference', async () => {
  const actual = await losses(device, 15);
  const expected = await losses(oracle, 15);
  actual.forEach((v, i) => expect(Math.abs(v - expected[i]) / expected[i], `loss ${i}`).toBeLessThan(1e-4));
  expect(actual[14]).toBeLessThan(actual[0] * 0.7);
});

it('faults and device loss surface as typed errors', async () => {
  const table = tensor([[1, 2], [3, 4]], { device });
  await expect(gather(table, tensor(Int32Array.of(0, 5), { device })).data()).rejects.toThrow(OutOfRangeError);
  const other = await webgpu();
  const x = tensor([1, 2], { device: other });
  const { gpu } = other.backend as WebGpuBackend;
  gpu.destroy();
  await gpu.lost;
  await expect(x.mul(2).data()).rejects.toThrow(DeviceLostError);
});
