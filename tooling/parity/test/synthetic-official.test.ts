import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate, LanguageModel, type LanguageModelConfig, savePretrained } from '@mamba-ts/models';
import { tensorFromFloats, tensorFromIntegers, writeSafetensors } from '@mamba-ts/nn/safetensors';
import { cpu, RandomGenerator, tensor } from '@mamba-ts/tensor';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from './shared';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parity-official-'));
});
afterEach(() => rm(folder, { recursive: true }));

/**
 * A fixture as the official ones are laid out, of our own numbers: nothing may depend on sizes or options. Without padding:
 * the official code may choose it, ours does not.
 */
async function writeFixture(changes: Partial<LanguageModelConfig>, [rows, length]: [number, number]): Promise<void> {
  const device = await cpu({ threads: 1 });
  const random = new RandomGenerator(9, device);
  const config = { vocabSize: 21, dModel: 12, nLayer: 3, block: 'mamba', layer: 's6', ...changes } as const;
  const model = new LanguageModel(config, random);
  const target = join(folder, 'mamba-official');
  await savePretrained(model, target, { layout: 'official' });
  const ids = Array.from({ length: rows * length }, (_, i) => (i * i + 3 * i) % 21);
  const input = tensor(Int32Array.from(ids), { shape: [rows, length], device });
  const logits = model.forward(input);
  const greedy: number[] = [];
  for (let row = 0; row < rows; row++) {
    const prompt = ids.slice(row * length, row * length + 4);
    greedy.push(...prompt);
    for await (const { token } of generate(model, prompt, { maxNewTokens: 6 })) greedy.push(token);
  }
  const tensors = new Map([
    ['input_ids', tensorFromIntegers(ids, [rows, length])],
    ['logits', tensorFromFloats(await logits.data(), logits.shape)],
    ['greedy_ids', tensorFromIntegers(greedy, [rows, 10], 'I64')],
  ]);
  await writeFile(join(target, 'other.safetensors'), writeSafetensors(tensors));
  await writeFile(join(target, 'other.json'), JSON.stringify({ note: 'of our own' }));
  for (const each of [logits, input, model, random, device]) each.dispose();
}

test.each<[string, Partial<LanguageModelConfig>, [number, number]]>([
  ['untied, layer norm, no padding', { tieEmbeddings: false, norm: 'layer', padVocabSizeMultiple: 1 }, [1, 9]],
  [
    'biases, a rank and sizes of its own',
    {
      padVocabSizeMultiple: 3,
      block: { kind: 'mamba', bias: true, convBias: false, dConv: 2 },
      layer: { kind: 's6', dState: 5, dtRank: 3 },
    },
    [3, 17],
  ],
  ['Mamba-2', { block: 'mamba2', layer: { kind: 'ssd', headDim: 4, dState: 6 }, padVocabSizeMultiple: 7 }, [2, 8]],
])('mamba-official with other options: %s', async (_what, changes, sizes) => {
  await writeFixture(changes, sizes);
  const { code, text } = await run(folder);
  expect(text).toContain('parity: 5 passed, 0 missed, 0 not yet covered');
  expect(code).toBe(0);
});
