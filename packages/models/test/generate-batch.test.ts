import { type Device, OutOfRangeError, reference, ShapeError } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BatchChoice,
  type Choice,
  decodeSnapshot,
  encodeSnapshot,
  generate,
  generateBatch,
  type GenerateBatchOptions,
  type GenerateOptions,
  type GenerationSnapshot,
  type LanguageModel,
  resumeGeneration,
  resumeGenerationBatch,
} from '../src/index';
import { floatDevices } from './devices';
import { opinionated } from './generation-models';
import { disposeEmpty } from './harness';

const prompts = [[3, 1, 4, 1, 5, 9, 2, 6], [7], [2, 7, 1], [1, 6, 1], [8, 8, 8, 8, 8, 8, 8, 8]];
const models = {
  'mamba + s6': {},
  'mamba2 + ssd': { block: 'mamba2', layer: { kind: 'ssd', headDim: 4, dState: 4 } },
  'a hybrid with attention': { blockAt: { 1: { kind: 'attention', numHeads: 2 } } },
} as const;

async function collect<T>(generation: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of generation) all.push(one);
  return all;
}

/** The choices of each row, in order. */
function byRow(steps: readonly (readonly BatchChoice[])[], rows: number): Choice[][] {
  const found: Choice[][] = Array.from({ length: rows }, () => []);
  for (const { row, ...choice } of steps.flat()) found[row].push(choice);
  return found;
}

const tokens = (choices: readonly Choice[]): number[] => choices.map(({ token }) => token);

for (const [name, create] of Object.entries({ reference, ...floatDevices })) {
  describe(`generateBatch on ${name}`, () => {
    let device: Device;
    const made: Record<string, LanguageModel> = {};
    beforeAll(async () => {
      device = await create();
      for (const [kind, config] of Object.entries(models)) made[kind] = await opinionated(device, config);
    });
    afterAll(() => {
      for (const model of Object.values(made)) model.dispose();
      disposeEmpty(device);
    });

    it.each(Object.keys(models))('gives for prompts of any lengths what each alone gives: %s', async (kind) => {
      const model = made[kind];
      const before = device.memory();
      for (const options of [
        {},
        { temperature: 6, topP: 0.9, repetitionPenalty: 1.3, seed: 11 },
      ] as GenerateOptions[]) {
        const settings = { ...options, maxNewTokens: 9, logprobs: 2 };
        const together = byRow(await collect(generateBatch(model, prompts, settings)), prompts.length);
        for (const [row, prompt] of prompts.entries()) {
          const alone = await collect(generate(model, prompt, { ...settings, seed: (options.seed ?? 0) + row }));
          expect(tokens(together[row]), `row ${row}`).toEqual(tokens(alone));
          expect(together[row].map((c) => c.finish)).toEqual([...Array(8), 'length']);
          alone.forEach(({ logprob, top }, i) => {
            expect(together[row][i].logprob).toBeCloseTo(logprob, 4);
            expect(together[row][i].top!.map(({ token }) => token)).toEqual(top!.map(({ token }) => token));
          });
        }
      }
      const { buffers, bytes } = device.memory();
      expect({ buffers, bytes }).toEqual({ buffers: before.buffers, bytes: before.bytes });
    });

    it('draws for a row what its seed says, wherever the row stands', async () => {
      const run = async (rows: number[][], options: GenerateBatchOptions): Promise<number[][]> => {
        const steps = await collect(
          generateBatch(made['mamba + s6'], rows, { ...options, temperature: 9, maxNewTokens: 12 }),
        );
        return byRow(steps, rows.length).map(tokens);
      };
      const [a, b, c] = await run([[1], [1], [1]], { seed: 4 });
      expect(new Set([String(a), String(b), String(c)]).size).toBe(3);
      expect(await run([[5, 6], [1], [1]], { seed: [1, 6, 4] })).toMatchObject({ 1: c, 2: a });
    });

    it('ends each row by itself', async () => {
      const model = made['mamba + s6'];
      const options = { temperature: 8, maxNewTokens: 20, seed: 1 };
      const all = byRow(await collect(generateBatch(model, prompts, options)), prompts.length).map(tokens);
      const stop = all[2][4];
      const steps = await collect(generateBatch(model, prompts, { ...options, stopTokens: [stop] }));
      byRow(steps, prompts.length).forEach((choices, row) => {
        const at = all[row].indexOf(stop);
        expect(tokens(choices)).toEqual(at < 0 ? all[row] : all[row].slice(0, at + 1));
        expect(choices.at(-1)!.finish).toBe(at < 0 ? 'length' : 'stopToken');
      });
      expect(steps.length).toBe(
        Math.max(...steps.flat().map(({ row }) => steps.flat().filter((c) => c.row === row).length)),
      );
    });

    it.each(Object.keys(models))('goes on from a snapshot as if there had been no break: %s', async (kind) => {
      const model = made[kind];
      const options = { temperature: 7, seed: 3, repetitionPenalty: 1.2 };
      const whole = byRow(await collect(generateBatch(model, prompts, { ...options, maxNewTokens: 10 })), 5);
      const taken: GenerationSnapshot[] = [];
      const generation = generateBatch(model, prompts, { ...options, maxNewTokens: 4 });
      taken.push(await generation.snapshot());
      for await (const _ of generation) taken.push(await generation.snapshot());
      await expect(generation.snapshot()).rejects.toThrow(/generation has ended/);
      for (const [count, snapshot] of taken.entries()) {
        const restored =
          count % 2 === 0
            ? (JSON.parse(JSON.stringify(snapshot)) as GenerationSnapshot)
            : decodeSnapshot(encodeSnapshot(snapshot));
        expect(restored).toEqual(snapshot);
        const { seed: _seed, ...rest } = options;
        const resumed = resumeGenerationBatch(model, restored, { ...rest, maxNewTokens: 10 - count });
        // Nothing has happened: the same snapshot.
        expect(await resumed.snapshot()).toEqual(snapshot);
        const found = byRow(await collect(resumed), 5);
        whole.forEach((choices, row) =>
          expect(found[row].map(({ token, logprob }) => [token, logprob])).toEqual(
            choices.slice(count).map(({ token, logprob }) => [token, logprob]),
          ),
        );
      }
    });

    it('keeps what has stopped stopped, and single sequences single', async () => {
      const model = made['mamba + s6'];
      const [{ token: first }] = await collect(generate(model, [3], { maxNewTokens: 1 }));
      const generation = generate(model, [3], { stopTokens: [first] });
      await generation.next();
      const snapshot = await generation.snapshot();
      await generation.return();
      expect(snapshot.rows).toEqual([{ ids: [3, first], promptLength: 1, seed: 0, finish: 'stopToken' }]);
      expect(await collect(resumeGeneration(model, snapshot))).toEqual([]);
      const two = generateBatch(model, [[1], [2]]);
      await two.next();
      expect(() => resumeGeneration(model, { ...snapshot, rows: [...snapshot.rows, ...snapshot.rows] })).toThrow(
        /snapshot has 2 sequences/,
      );
      await two.return();
      for (const wrong of [{}, { ...snapshot, version: 2 }, { ...snapshot, rows: [{}] }, null])
        expect(() => resumeGeneration(model, wrong as GenerationSnapshot)).toThrow(OutOfRangeError);
    });

    it('refuses a snapshot while it computes', async () => {
      const generation = generate(made['mamba + s6'], [1]);
      const pending = generation.next();
      await expect(generation.snapshot()).rejects.toThrow(/a token is being computed/);
      await pending;
      await generation.return();
    });

    it('never generates tokens beyond vocabSize', async () => {
      const model = made['mamba + s6'];
      const ids = tokens(await collect(generate(model, [1], { temperature: 50, maxNewTokens: 60, vocabSize: 5 })));
      expect(Math.max(...ids)).toBe(4);
      const tokenizer = { vocabSize: 3, tokenBytes: () => new Uint8Array(0) };
      const fewer = tokens(await collect(generate(model, [1], { temperature: 50, maxNewTokens: 60, tokenizer })));
      expect(Math.max(...fewer)).toBe(2);
    });

    it.each([
      [[[1], []], {}, /prompts\[1\] is empty/, ShapeError],
      [[[1], [13]], {}, /prompts\[1\]\[0\] is 13/, OutOfRangeError],
      [[[1], [2]], { seed: [1] }, /seed has 1 numbers, expected one for each of 2/, OutOfRangeError],
      [[[1]], { seed: [0.5] }, /seed\[0\] is 0.5/, OutOfRangeError],
      [[[1]], { vocabSize: 14 }, /vocabSize is 14, expected an integer in \[1, 13\]/, OutOfRangeError],
      [[[1]], { logprobs: -1 }, /logprobs is -1/, OutOfRangeError],
      [[[1]], { stopStrings: [''] }, /stopStrings\[0\] is ""/, OutOfRangeError],
      [[[1]], { stopStrings: ['a'] }, /stopStrings is given without tokenizer/, OutOfRangeError],
    ] as [number[][], GenerateBatchOptions, RegExp, typeof ShapeError][])(
      'refuses prompts %o with %o before it starts',
      (rows, options, message, type) => {
        const start = (): unknown => generateBatch(made['mamba + s6'], rows, options);
        expect(start).toThrow(message);
        expect(start).toThrow(type);
      },
    );
  });
}

describe('seeded sampling', () => {
  it('gives the same tokens on every device', async () => {
    const found: Record<string, number[][]> = {};
    for (const [name, create] of Object.entries({ reference, ...floatDevices })) {
      const device = await create();
      const model = await opinionated(device);
      const options = { temperature: 5, topP: 0.95, seed: -9, maxNewTokens: 25 };
      found[name] = byRow(await collect(generateBatch(model, prompts, options)), prompts.length).map(tokens);
      model.dispose();
      disposeEmpty(device);
    }
    for (const rows of Object.values(found)) expect(rows).toEqual(found.reference);
    expect(new Set(found.reference.flat()).size).toBeGreaterThan(5);
  });
});
