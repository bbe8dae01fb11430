import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource, openTorchFile, type SafetensorsTensor, streamTorchFile } from '@mamba-ts/nn';
import { type Device, RandomGenerator } from '@mamba-ts/tensor';
import { LanguageModel, type LanguageModelConfig } from '../src/index';

/** A folder of its own for each call, removed by the returned function. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mamba-models-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export const tiny: LanguageModelConfig = { vocabSize: 13, dModel: 8, nLayer: 2, block: 'mamba', layer: 's6' };

export function build(device: Device, changes: Partial<LanguageModelConfig> = {}, seed = 3): LanguageModel {
  const random = new RandomGenerator(seed, device);
  const model = new LanguageModel({ ...tiny, ...changes }, random);
  random.dispose();
  return model;
}

export async function json(...path: string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(...path), 'utf8')) as Record<string, unknown>;
}

/** Every value of a model, by key. */
export const values = (model: LanguageModel): Record<string, Float32Array> =>
  Object.fromEntries([...model.stateDict()].map(([key, v]) => [key, v.dataSync() as Float32Array]));

export const kindOf = (choice: string | { readonly kind: string }): string =>
  typeof choice === 'string' ? choice : choice.kind;

/** Kinds of models that both layouts can say. */
export const kinds: [string, Partial<LanguageModelConfig>][] = [
  ['the default', {}],
  ['an untied head', { tieEmbeddings: false }],
  ['a padded vocabulary', { padVocabSizeMultiple: 5 }],
  ['no padding', { vocabSize: 16, padVocabSizeMultiple: 1 }],
  ['biases, and no bias of the convolution', { block: { kind: 'mamba', bias: true, convBias: false, expand: 1 } }],
  ['Mamba-2', { block: 'mamba2', layer: { kind: 'ssd', headDim: 4, dState: 6 } }],
  [
    'Mamba-2 with limits of Δ',
    { block: { kind: 'mamba2', expand: 1, bias: true }, layer: { kind: 'ssd', headDim: 2, dtLimit: [0.01, Infinity] } },
  ],
  ['other sizes', { block: { kind: 'mamba', dConv: 3 }, layer: { kind: 's6', dState: 5, dtRank: 3, dtMax: 0.2 } }],
];

/** The tensors of a `pytorch_model.bin` as three shards and their index, as transformers cuts large ones. */
export async function torchShards(whole: Uint8Array): Promise<Map<string, Uint8Array>> {
  const reader = await openTorchFile(bytesSource(whole));
  const shards = Array.from({ length: 3 }, () => new Map<string, SafetensorsTensor>());
  const weightMap: Record<string, string> = {};
  const name = (i: number): string => `pytorch_model-0000${i + 1}-of-00003.bin`;
  for (const [i, key] of [...reader.entries.keys()].entries()) {
    shards[i % 3].set(key, await reader.read(key));
    weightMap[key] = name(i % 3);
  }
  const index = JSON.stringify({ metadata: { total_size: whole.length }, weight_map: weightMap });
  const files = new Map([['pytorch_model.bin.index.json', new TextEncoder().encode(index) as Uint8Array]]);
  for (const [i, shard] of shards.entries()) {
    const pieces: Uint8Array[] = [];
    for await (const piece of streamTorchFile(shard)) pieces.push(piece.slice());
    files.set(name(i), new Uint8Array(Buffer.concat(pieces)));
  }
  return files;
}
