import { AdamW } from '@mamba-ts/nn';
import {
  compile,
  cpu,
  type Device,
  full,
  grad,
  RandomGenerator,
  type Tensor,
  tensor,
  variable,
} from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BlockChoice,
  LanguageModel,
  type LanguageModelConfig,
  type LayerChoice,
  parameterCount,
} from '../src/index';
import { disposeEmpty, evaluate } from './harness';

/* The Mamba paper's tables 1 and 6, every architecture with every layer, as the loop over two lists that they are. */
const architectures: readonly BlockChoice[] = ['plain', 'h3', { kind: 'h3', headDim: 2, dState: 3 }, 'mamba', 'mamba2'];
const inners: Readonly<Record<string, LayerChoice>> = {
  S4: { kind: 's4', dState: 4 },
  'S4 (complex)': { kind: 's4d', dState: 4 },
  'S4 (real)': { kind: 's4d', dState: 4, init: 'real' },
  Hyena: { kind: 'hyena', lMax: 12, filterOrder: 4 },
  H3: { kind: 'h3', dState: 4 },
  S6: { kind: 's6', dState: 4 },
  'S6 (complex)': { kind: 's6', dState: 4, aInit: 's4d-lin' },
};
/** Whole mixers, which take no layer. */
const mixers: readonly BlockChoice[] = [{ kind: 'hyena', lMax: 12, filterOrder: 4 }];

const vocabSize = 7;
const rows: readonly (readonly [string, LanguageModelConfig])[] = [
  ...architectures.flatMap((block) =>
    Object.entries(inners).map(([name, layer]) => [`${JSON.stringify(block)} with ${name}`, block, layer] as const),
  ),
  ...mixers.map((block) => [JSON.stringify(block), block, 's6'] as const),
].map(([name, block, layer]) => [name, { vocabSize, dModel: 4, nLayer: 1, padVocabSizeMultiple: 1, block, layer }]);

describe('every architecture with every layer', () => {
  let device: Device;
  let random: RandomGenerator;
  beforeAll(async () => {
    device = await cpu({ threads: 1 });
    random = new RandomGenerator(5, device);
  });
  afterAll(() => {
    random.dispose();
    disposeEmpty(device);
  });
  const ids = Int32Array.from({ length: 22 }, (_, i) => (i * i + 3) % vocabSize);
  const upload = (values: Int32Array, ...shape: number[]): Tensor => tensor(values, { shape, device });

  it.each(rows)('%s builds, trains a step and decodes', async (_name, config) => {
    const model = new LanguageModel(config, random);
    expect(parameterCount(config)).toBe(model.parameterCount());

    const decoded = await evaluate(() => {
      const [, state] = model.prefill(upload(ids.slice(0, 5), 1, 5));
      const [, next] = model.step(upload(ids.slice(5, 6), 1), state);
      return model.step(upload(ids.slice(6, 7), 1), next)[0];
    });
    const whole = await evaluate(() => model.forward(upload(ids.slice(0, 7), 1, 7)).slice(1, 6));
    whole.forEach((logit, i) => expect(decoded[i]).toBeCloseTo(logit, 4));

    const optimizer = new AdamW(model.parameters(), { learningRate: 0.02 });
    const [input, targets] = [ids.subarray(0, 20), ids.subarray(1, 21)].map((values) => {
      const made = upload(Int32Array.from(values), 2, 10);
      const kept = variable(made);
      made.dispose();
      return kept;
    });
    const step = compile(() => {
      const loss = model.loss(input, targets);
      optimizer.update(grad(loss, optimizer.parameters));
      return loss;
    });
    const losses: number[] = [];
    for (let i = 0; i < 6; i++) losses.push(await step().item());
    expect(losses[0]).toBeLessThan(3);
    expect(losses[5]).toBeLessThan(losses[0]);
    for (const used of [step, optimizer, input, targets, model]) used.dispose();
  });
});

describe('an optimiser obeys what layers say of their parameters', () => {
  it.each(['s4', 's4d', 'h3', 'hyena', 's6'] as const)('%s', async (layer) => {
    const device = await cpu({ threads: 1 });
    const random = new RandomGenerator(5, device);
    const choice: LayerChoice = layer === 'hyena' ? { kind: layer, lMax: 8, filterOrder: 4 } : layer;
    const model = new LanguageModel({ vocabSize, dModel: 4, nLayer: 1, block: 'plain', layer: choice }, random);
    const parameters = [...model.parameters()];
    /** What one update changes, by path, where every gradient is `g`. */
    const change = (g: number, weightDecay: number): Map<string, Float64Array> => {
      const before = parameters.map(([, v]) => Float64Array.from(v.dataSync()));
      const optimizer = new AdamW(model.parameters(), { learningRate: 0.03, weightDecay });
      const gradients = optimizer.parameters.map((v) => full(v.shape, g, { device }));
      optimizer.update(gradients);
      for (const used of [...gradients, optimizer]) used.dispose();
      return new Map(
        parameters.map(([path, v], k) => [path, Float64Array.from(v.dataSync(), (x, i) => before[k][i] - x)]),
      );
    };
    const decayed = change(0, 0.1);
    // Adam's first step moves every element by the learning rate.
    const moved = change(1, 0);
    const own = parameters.filter(([, v]) => v.metadata.weightDecay === false);
    expect(own.length).toBeGreaterThan(1);
    for (const [path, v] of parameters) {
      const largest = Math.max(...(decayed.get(path) as Float64Array).map(Math.abs));
      if (v.metadata.weightDecay === false) expect(largest, path).toBe(0);
      else if (Math.max(...Array.from(v.dataSync(), Math.abs)) > 0.1) expect(largest, path).toBeGreaterThan(0);
      const rate = v.metadata.learningRate ?? 0.03;
      for (const d of moved.get(path) as Float64Array) expect(Math.abs(d - Number(rate)), path).toBeLessThan(1e-4);
    }
    for (const used of [model, random]) used.dispose();
    disposeEmpty(device);
  });
});
