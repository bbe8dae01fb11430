import { compile, cpu, DTypeError, RandomGenerator, reference, tensor, TensorError, variable } from '@mamba-ts/tensor';
import { expect, it } from 'vitest';
import { convertWeights, Embedding, Linear, loadStateDict, Module, RMSNorm, saveStateDict } from '../src';

class Tied extends Module {
  readonly embedding: Embedding;
  readonly norm: RMSNorm;
  readonly linear: Linear;
  readonly head: Linear;

  constructor(random: RandomGenerator) {
    super();
    this.embedding = new Embedding(10, 6, random);
    this.norm = new RMSNorm(6, { device: random.state.device });
    this.linear = new Linear(6, 6, random);
    this.head = Object.assign(new Linear(1, 1, random), { weight: this.embedding.weight, bias: null });
  }
}

it('stores matrices and tables in half precision, the rest in float32, ties kept', async () => {
  const device = await cpu({ threads: 1 });
  const random = new RandomGenerator(1, device);
  const model = new Tied(random);
  const before = await model.linear.weight.data();
  const bytes = device.memory();
  convertWeights(model, 'bfloat16');
  const dtypes = Object.fromEntries([...model.stateDict()].map(([path, v]) => [path, v.dtype]));
  expect(dtypes).toEqual({ 'embedding.weight': 'bfloat16', 'norm.weight': 'float32', 'linear.weight': 'bfloat16', 'linear.bias': 'float32', 'head.weight': 'bfloat16' });
  expect(model.head.weight).toBe(model.embedding.weight);
  expect(device.memory().bytes).toBe(bytes.bytes - 2 * (60 + 36));
  expect(device.memory().buffers).toBe(bytes.buffers);
  const after = await model.linear.weight.data();
  expect(after).toEqual(await tensor(before, { shape: [6, 6], device, dtype: 'bfloat16' }).data());
  device.dispose();
});

it('loads a float32 file into half-precision weights, and the other way', async () => {
  const device = await reference();
  const [a, b] = [1, 2].map((seed) => new Linear(5, 3, new RandomGenerator(seed, device)));
  const file = await saveStateDict(a);
  convertWeights(b, 'float16');
  loadStateDict(b, file);
  expect(b.weight.dtype).toBe('float16');
  convertWeights(a, 'float16');
  expect(await b.weight.data()).toEqual(await a.weight.data());
});

it('a step that was compiled for the old type refuses to run', async () => {
  const device = await cpu({ threads: 1 });
  const linear = new Linear(4, 2, new RandomGenerator(1, device));
  const x = variable(tensor([[1, 2, 3, 4]], { device }));
  const step = compile(() => linear.forward(x));
  step();
  convertWeights(linear, 'bfloat16');
  expect(() => step()).toThrow(TensorError);
  expect(() => step()).toThrow('a variable of shape (2, 4) is bfloat16, but was float32 when the step was traced; compile it again');
  convertWeights(linear, 'float32');
  step();
  const ids = variable(tensor(Int32Array.of(1), { device }));
  expect(() => ids.convert('float32')).toThrow(DTypeError);
  device.dispose();
});
