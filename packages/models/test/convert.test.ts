import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesSource, convertWeights, openSafetensors, StateDictError } from '@mamba-ts/nn';
import { cpu, type Device } from '@mamba-ts/tensor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { convertCheckpoint, fromPretrained, savePretrained } from '../src/index';
import { build, json, kinds, temporaryFolder, values } from './checkpoint-folders';
import { disposeEmpty } from './harness';

let device: Device;
let folder: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  device = await cpu({ threads: 1 });
});
afterAll(() => disposeEmpty(device));
beforeEach(async () => {
  ({ path: folder, remove } = await temporaryFolder());
});
afterEach(() => remove());

describe('convertCheckpoint', () => {
  it.each(kinds)('goes from one layout to the other and back, bit for bit: %s', async (_what, changes) => {
    const model = build(device, changes);
    const at = (name: string): string => join(folder, name);
    await savePretrained(model, at('a'), { layout: 'official' });
    await writeFile(join(at('a'), 'tokenizer.json'), '{}');
    await convertCheckpoint(at('a'), at('b'), { layout: 'huggingface' });
    await convertCheckpoint(at('b'), at('c'), { layout: 'official' });
    const { model: loaded } = await fromPretrained(at('b'), { device });
    expect(values(loaded)).toEqual(values(model));
    expect(await readFile(join(at('c'), 'tokenizer.json'), 'utf8')).toBe('{}');
    const { model: back } = await fromPretrained(at('c'), { device });
    expect(values(back)).toEqual(values(model));
    expect(back.vocabSize).toBe(model.vocabSize);
    for (const each of [model, loaded, back]) each.dispose();
  });

  it('keeps every tensor as it is stored, or rounds to what is asked for', async () => {
    const model = build(device);
    convertWeights(model, 'bfloat16');
    await savePretrained(model, join(folder, 'a'));
    await convertCheckpoint(join(folder, 'a'), join(folder, 'same'), { layout: 'official' });
    const { model: same } = await fromPretrained(join(folder, 'same'), { device, dtype: 'bfloat16' });
    expect(values(same)).toEqual(values(model));
    await convertCheckpoint(join(folder, 'a'), join(folder, 'wide'), { dtype: 'float32' });
    const wide = await openSafetensors(
      bytesSource(new Uint8Array(await readFile(join(folder, 'wide', 'model.safetensors')))),
    );
    expect(new Set([...wide.entries.values()].map(({ dtype }) => dtype))).toEqual(new Set(['F32']));
    const half = await json(folder, 'a', 'config.json');
    expect([half.dtype, (await json(folder, 'wide', 'config.json')).dtype]).toEqual(['bfloat16', 'float32']);
    model.dispose();
    same.dispose();
  });

  it('refuses a checkpoint that lacks weights, or whose tied weights differ', async () => {
    const model = build(device, { tieEmbeddings: false });
    await savePretrained(model, join(folder, 'a'), { layout: 'official' });
    model.dispose();
    const config = await json(folder, 'a', 'config.json');
    await writeFile(join(folder, 'a', 'config.json'), JSON.stringify({ ...config, tie_embeddings: true }));
    await expect(convertCheckpoint(join(folder, 'a'), join(folder, 'b'))).rejects.toThrow(/differ, expected one tied/);
    await expect(fromPretrained(join(folder, 'a'), { device })).rejects.toThrow(/other values than/);
    await writeFile(join(folder, 'a', 'config.json'), JSON.stringify({ ...config, n_layer: 3 }));
    await expect(convertCheckpoint(join(folder, 'a'), join(folder, 'b'))).rejects.toThrow(StateDictError);
    await rename(join(folder, 'a', 'pytorch_model.bin'), join(folder, 'a', 'gone'));
    await expect(convertCheckpoint(join(folder, 'a'), join(folder, 'b'))).rejects.toThrow(
      /there is no model.safetensors/,
    );
  });
});
