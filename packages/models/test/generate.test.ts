import { AdamW, clipGradientNorm, crossEntropyLoss } from '@mamba-ts/nn';
import {
  compile,
  type Device,
  grad,
  OutOfRangeError,
  RandomGenerator,
  reference,
  scope,
  ShapeError,
  tensor,
  variable,
} from '@mamba-ts/tensor';
import { S4D } from '@mamba-ts/ssm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Choice,
  generate,
  type GenerateOptions,
  LanguageModel,
  type LanguageModelConfig,
  type LayerContext,
  layers,
} from '../src/index';
import { floatDevices } from './devices';
import { disposeEmpty } from './harness';

const config: LanguageModelConfig = {
  vocabSize: 13,
  dModel: 8,
  nLayer: 2,
  block: 'mamba',
  layer: { kind: 's6', dState: 4 },
  padVocabSizeMultiple: 16,
};

for (const [name, create] of Object.entries({ reference, ...floatDevices })) {
  describe(`generate on ${name}`, () => {
    let device: Device;
    let model: LanguageModel;
    const build = (changes: Partial<LanguageModelConfig> = {}): LanguageModel => {
      const random = new RandomGenerator(2, device);
      const made = new LanguageModel({ ...config, ...changes }, random);
      random.dispose();
      return made;
    };
    beforeAll(async () => {
      device = await create();
      model = build();
      // Embeddings of deviation 0.02 make all tokens alike: make them differ.
      const { weight } = model.backbone.embedding;
      weight.write(Float64Array.from(await weight.data(), (v) => v * 60));
    });
    afterAll(() => {
      model.dispose();
      disposeEmpty(device);
    });
    const collect = async (prompt: readonly number[], options: GenerateOptions = {}, of = model): Promise<Choice[]> => {
      const before = device.memory();
      const choices: Choice[] = [];
      for await (const choice of generate(of, prompt, options)) choices.push(choice);
      const { buffers, bytes } = device.memory();
      expect({ buffers, bytes }, 'memory after generate').toEqual({ buffers: before.buffers, bytes: before.bytes });
      return choices;
    };
    const tokens = (choices: readonly Choice[]): number[] => choices.map((c) => c.token);

    it('gives the tokens and log probabilities that running the whole sequence again and again gives', async () => {
      for (const [block, layer] of [
        ['mamba', 's6'],
        ['mamba', 's4d'],
        ['plain', 's6'],
        ['plain', 's4d'],
      ] as const) {
        const other = build({ block, layer: { kind: layer, dState: 4 } });
        const { weight } = other.backbone.embedding;
        weight.write(Float64Array.from(await weight.data(), (v) => v * 60));
        const sequence = [3, 1, 4, 1, 5];
        const generated = await collect(sequence, { maxNewTokens: 12 }, other);
        for (const { token, logprob } of generated) {
          const logits = scope(() =>
            other
              .forward(tensor([sequence], { dtype: 'int32', device }))
              .slice(1, sequence.length - 1)
              .slice(2, 0, 13)
              .realize(),
          );
          const values = Array.from(await logits.data());
          logits.dispose();
          const best = values.indexOf(Math.max(...values));
          expect(token).toBe(best);
          expect(logprob).toBeCloseTo(
            values[best] - Math.log(values.reduce((s, v) => s + Math.exp(v), 0)),
            name === 'reference' ? 9 : 3,
          );
          sequence.push(token);
        }
        expect(generated.length).toBe(12);
        other.dispose();
      }
    });

    it('runs layers that keep their history step by step, with the same result', async () => {
      class HistoryLayer extends S4D {
        override readonly constantState = false;
      }
      const open = layers as Record<string, unknown>;
      open.history = (own: object, { width, random }: LayerContext) =>
        new HistoryLayer({ ...own, dModel: width }, random);
      const [eager, compiled] = ['history', 's4d'].map((kind) => build({ layer: { kind, dState: 4 } as never }));
      delete open.history;
      expect([eager.constantState, compiled.constantState]).toEqual([false, true]);
      const options = { temperature: 50, maxNewTokens: 12 };
      expect(tokens(await collect([2, 3], options, eager))).toEqual(tokens(await collect([2, 3], options, compiled)));
      eager.dispose();
      compiled.dispose();
    });

    it('repeats itself for a seed, and only for it', async () => {
      const options = { temperature: 8, maxNewTokens: 30 };
      const first = tokens(await collect([1, 2], { ...options, seed: 7 }));
      expect(tokens(await collect([1, 2], { ...options, seed: 7 }))).toEqual(first);
      expect(tokens(await collect([1, 2], { ...options, seed: 8 }))).not.toEqual(first);
      expect(new Set(first).size).toBeGreaterThan(3);
    });

    it('never gives a token of the padding', async () => {
      const { weight } = model.backbone.embedding;
      const original = await weight.data();
      // Make the three rows beyond the vocabulary the likeliest by far.
      const loud = Float64Array.from(original);
      const logits = scope(() => model.forward(tensor([[1]], { dtype: 'int32', device })).realize());
      logits.dispose();
      for (let row = 13; row < 16; row++)
        for (let i = 0; i < 8; i++) loud[row * 8 + i] = (row % 2 ? 1 : -1) * 1000 * (i + 1);
      weight.write(loud);
      for (const { token } of await collect([1], { temperature: 2, maxNewTokens: 40 })) expect(token).toBeLessThan(13);
      for (const { token } of await collect([1], { maxNewTokens: 5 })) expect(token).toBeLessThan(13);
      weight.write(Float64Array.from(original));
    });

    it('stops after a stop token, at the limit, at once for a limit of 0, and when the loop is left', async () => {
      const all = tokens(await collect([1, 2], { temperature: 8, maxNewTokens: 20 }));
      const stop = all[6];
      expect(tokens(await collect([1, 2], { temperature: 8, maxNewTokens: 20, stopTokens: [stop] }))).toEqual(
        all.slice(0, all.indexOf(stop) + 1),
      );
      expect(all.length).toBe(20);
      expect(await collect([1], { maxNewTokens: 0 })).toEqual([]);
      const before = device.memory().buffers;
      for await (const _ of generate(model, [1], { maxNewTokens: 100 })) break;
      expect(device.memory().buffers).toBe(before);
    });

    it('stops on a signal and frees its memory', async () => {
      const before = device.memory().buffers;
      const controller = new AbortController();
      let count = 0;
      const loop = (async () => {
        for await (const _ of generate(model, [1, 2, 3], { signal: controller.signal }))
          if (++count === 4) controller.abort(new Error('enough'));
      })();
      await expect(loop).rejects.toThrow('enough');
      expect(count).toBe(4);
      expect(device.memory().buffers).toBe(before);
      await expect(generate(model, [1], { signal: AbortSignal.abort() }).next()).rejects.toThrow(/abort/i);
    });

    it('reads long prompts in pieces with the same result', async () => {
      const prompt = Array.from({ length: name === 'reference' ? 2050 : 4500 }, (_, i) => (i * i) % 13);
      const [{ token, logprob }] = await collect(prompt, { maxNewTokens: 1 });
      const logits = scope(() =>
        model
          .forward(tensor([prompt], { dtype: 'int32', device }))
          .slice(1, prompt.length - 1)
          .slice(2, 0, 13)
          .realize(),
      );
      const values = Array.from(await logits.data());
      logits.dispose();
      expect(token).toBe(values.indexOf(Math.max(...values)));
      expect(logprob).toBeCloseTo(Math.max(...values) - Math.log(values.reduce((s, v) => s + Math.exp(v), 0)), 3);
    });

    it('trains 200 steps and generates 200 tokens without leaving a buffer behind', async () => {
      const before = device.memory();
      const random = new RandomGenerator(4, device);
      const learner = new LanguageModel(
        { ...config, dModel: 4, nLayer: 1, layer: { kind: 's6', dState: 2 }, padVocabSizeMultiple: 1 },
        random,
      );
      const optimizer = new AdamW(learner.parameters(), { learningRate: 0.02, weightDecay: 0 });
      const [ids, targets] = [0, 1].map(() => {
        const zero = tensor(new Int32Array(2 * 6), { shape: [2, 6], device });
        const v = variable(zero);
        zero.dispose();
        return v;
      });
      const step = compile(() => {
        const loss = crossEntropyLoss(learner.forward(ids), targets);
        const { gradients } = clipGradientNorm(grad(loss, optimizer.parameters), 1);
        optimizer.update(gradients);
        return loss;
      });
      let loss = Number.NaN;
      let first = Number.NaN;
      let allocations = 0;
      for (let i = 0; i < 200; i++) {
        // The next token is one more, modulo 13.
        const start = [i * 5, i * 7 + 3];
        ids.write(Int32Array.from({ length: 12 }, (_, k) => (start[Math.floor(k / 6)] + (k % 6)) % 13));
        targets.write(Int32Array.from({ length: 12 }, (_, k) => (start[Math.floor(k / 6)] + (k % 6) + 1) % 13));
        loss = await step().item();
        if (i === 0) {
          first = loss;
          allocations = device.memory().allocations;
        }
      }
      expect(device.memory().allocations, 'allocations of 199 replays').toBe(allocations);
      expect(first).toBeGreaterThan(2);
      expect(loss).toBeLessThan(0.6);
      const generated = tokens(await collect([3, 4], { maxNewTokens: 200 }, learner));
      expect(generated.length).toBe(200);
      expect(generated.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, k) => (5 + k) % 13));
      step.dispose();
      optimizer.dispose();
      learner.dispose();
      ids.dispose();
      targets.dispose();
      random.dispose();
      const { buffers, bytes } = device.memory();
      expect({ buffers, bytes }).toEqual({ buffers: before.buffers, bytes: before.bytes });
    });

    it.each([
      [[], {}, /prompt is empty/, ShapeError],
      [[1, 13], {}, /prompt\[1\] is 13, expected a token in \[0, 13\)/, OutOfRangeError],
      [[-1], {}, /prompt\[0\] is -1/, OutOfRangeError],
      [[0.5], {}, /prompt\[0\] is 0.5/, OutOfRangeError],
      [[1], { temperature: Number.NaN }, /temperature is NaN/, OutOfRangeError],
      [[1], { maxNewTokens: -1 }, /maxNewTokens is -1/, OutOfRangeError],
      [[1], { stopTokens: [99] }, /stopTokens\[0\] is 99/, OutOfRangeError],
      [[1], { seed: 0.5 }, /seed is 0.5/, OutOfRangeError],
      [[1], { topk: 3 } as GenerateOptions, /topk is no setting/, OutOfRangeError],
    ] as [number[], GenerateOptions, RegExp, typeof ShapeError][])(
      'refuses prompt %o with %o before it starts',
      (prompt, options, message, type) => {
        expect(() => generate(model, prompt, options)).toThrow(message);
        expect(() => generate(model, prompt, options)).toThrow(type);
      },
    );
  });
}
