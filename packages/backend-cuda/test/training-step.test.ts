import {
  assignAll, causalConv1d, compile, cpu, crossEntropy, type Device, gather, grad, scope, selectiveScan, setDefaultDevice, silu, type Tensor, tensor, type Variable, variable,
  zeros,
} from '@mamba-ts/tensor';
import { seededRandom } from '@mamba-ts/vitest-preset/fuzz';
import { expect, it } from 'vitest';
import { SimulatedBackend } from './simulated-backend';

const [vocabulary, width, inner, states, rank, taps, layers] = [13, 8, 16, 4, 1, 4, 2];
const [batch, length, updates] = [2, 12, 3];

/** Weights of a Mamba language model: `embedding`, and of each layer what its block has. Same values for each device. */
function weights(): Record<string, Variable> {
  const random = seededRandom(5);
  const made: Record<string, Variable> = {};
  const add = (name: string, shape: number[], size: number, middle = 0): void => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => middle + size * (2 * random() - 1));
    made[name] = scope(() => variable(tensor(values, { shape })));
  };
  add('embedding', [vocabulary, width], 0.5);
  add('norm', [width], 0.2, 1);
  for (let i = 0; i < layers; i++) {
    add(`${i}.norm`, [width], 0.2, 1);
    add(`${i}.in`, [2 * inner, width], 0.4);
    add(`${i}.conv`, [inner, taps], 0.5);
    add(`${i}.convBias`, [inner], 0.3);
    add(`${i}.x`, [rank + 2 * states, inner], 0.4);
    add(`${i}.dt`, [inner, rank], 0.5);
    add(`${i}.dtBias`, [inner], 1, -2);
    add(`${i}.logA`, [inner, states], 0.5, 0.5);
    add(`${i}.D`, [inner], 0.3, 1);
    add(`${i}.out`, [width, inner], 0.4);
  }
  return made;
}

const normalized = (x: Tensor, weight: Tensor): Tensor => x.mul(x.square().mean(-1, true).add(1e-5).rsqrt()).mul(weight);
const project = (x: Tensor, weight: Tensor): Tensor => x.matmul(weight, { transposeB: true });

/** Mean cross-entropy of the next token: pre-norm Mamba blocks (arXiv 2312.00752, figure 3), and the embedding once more as the head. */
function lossOf(w: Record<string, Variable>, ids: Tensor, targets: Tensor): Tensor {
  let x = gather(w.embedding, ids);
  for (let i = 0; i < layers; i++) {
    const of = (name: string): Variable => w[`${i}.${name}`];
    const xz = project(normalized(x, of('norm')), of('in'));
    const u = silu(causalConv1d(xz.slice(-1, 0, inner), of('conv'), { bias: of('convBias') }));
    const operands = project(u, of('x'));
    const part = (from: number): Tensor => operands.slice(-1, from, from + states).reshape(batch, length, 1, states);
    const { y } = selectiveScan({
      ...{ u, z: xz.slice(-1, inner), delta: project(operands.slice(-1, 0, rank), of('dt')), deltaBias: of('dtBias'), deltaSoftplus: true },
      ...{ A: of('logA').exp().neg(), B: part(rank), C: part(rank + states), D: of('D') },
    });
    x = x.add(project(y, of('out')));
  }
  return crossEntropy(project(normalized(x, w.norm), w.embedding), targets).mean();
}

/** Losses before each of some updates by AdamW, all in one compiled step. */
async function losses(device: Device): Promise<number[]> {
  const previous = setDefaultDevice(device);
  const w = weights();
  const parameters = Object.values(w);
  const moments = parameters.map((p) => scope(() => [variable(zeros(p.shape)), variable(zeros(p.shape))]));
  const count = scope(() => variable(tensor(Float32Array.of(0))));
  const ids = [0, 1].map((at) => scope(() => variable(tensor(Int32Array.from({ length: batch * length }, (_, i) => ((i + at) * 7) % vocabulary), { shape: [batch, length] }))));
  const [rate, decay, beta1, beta2] = [0.02, 0.1, 0.9, 0.99];
  const step = compile(() => {
    const loss = lossOf(w, ids[0], ids[1]);
    const gradients = grad(loss, parameters);
    const t = count.add(1);
    const corrections = [beta1, beta2].map((beta) => t.mul(Math.log(beta)).exp().neg().add(1));
    const changes: [Variable, Tensor][] = [[count, t]];
    parameters.forEach((p, i) => {
      const [first, second] = moments[i];
      const m = first.mul(beta1).add(gradients[i].mul(1 - beta1));
      const v = second.mul(beta2).add(gradients[i].square().mul(1 - beta2));
      const direction = m.div(corrections[0]).div(v.div(corrections[1]).sqrt().add(1e-8));
      changes.push([first, m], [second, v], [p, p.mul(1 - rate * decay).sub(direction.mul(rate))]);
    });
    assignAll(changes);
    return loss;
  });
  const found: number[] = [];
  for (let i = 0; i < updates; i++) found.push(await step().item());
  for (const t of [step, count, ...ids, ...parameters, ...moments.flat()]) t.dispose();
  setDefaultDevice(previous);
  return found;
}

// Launch groups, memory that the arena shares and kernels that absorb one another are wrong together where each kernel alone is right.
it('a whole training step compiled for CUDA has the losses of the CPU, its printed kernels run in a PTX machine', async () => {
  const [card, host] = [await SimulatedBackend.open(), await cpu({ threads: 1 })];
  try {
    const [found, expected] = [await losses(card), await losses(host)];
    expect(expected[updates - 1]).toBeLessThan(0.95 * expected[0]);
    found.forEach((loss, i) => expect(Math.abs(loss - expected[i]), `loss ${i}: ${loss}, expected ${expected[i]}`).toBeLessThan(1e-5));
    expect(card.memory().buffers).toBe(0);
  } finally {
    for (const device of [card, host]) device.dispose();
  }
}, 120_000);
