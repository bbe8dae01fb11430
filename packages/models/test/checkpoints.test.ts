import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RandomAccessSource, readSafetensors, StateDictError, writeSafetensors } from '@mamba-ts/nn';
import { cpu, type Device, fromBFloat16, OutOfRangeError, toBFloat16 } from '@mamba-ts/tensor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  CheckpointError,
  type CheckpointFiles,
  folderFiles,
  fromPretrained,
  type LanguageModelConfig,
  type Layout,
  layouts,
  memoryFiles,
  pretrainedFiles,
  savePretrained,
} from '../src/index';
import { build, json, kindOf, kinds, temporaryFolder, torchShards, values } from './checkpoint-folders';
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

describe('savePretrained and fromPretrained', () => {
  for (const layout of layouts) {
    it.each(kinds)(`round-trip %s in the ${layout} layout, bit for bit`, async (_what, changes) => {
      const model = build(device, changes);
      await savePretrained(model, folder, { layout });
      const { model: loaded, report, format } = await fromPretrained(folder, { device });
      expect(format).toMatchObject({
        layout,
        family: changes.block && 'mamba2' === kindOf(changes.block) ? 'mamba2' : 'mamba',
      });
      expect([report.missing, report.unexpected]).toEqual([[], []]);
      expect(values(loaded)).toEqual(values(model));
      expect(loaded.vocabSize).toBe(model.vocabSize);
      // Defaults are written out: the same model in more words.
      const again = join(folder, 'again');
      await savePretrained(loaded, again, { layout });
      for (const file of await readdir(again))
        expect(await readFile(join(again, file))).toEqual(await readFile(join(folder, file)));
      model.dispose();
      loaded.dispose();
    });
  }

  it('keep the attention of a hybrid, and Mamba-2 with groups, in the official layout, which alone has them', async () => {
    const attention = { kind: 'attention', numHeads: 2, rotaryDim: 2, qkvBias: false } as const;
    const hybrid = build(device, { blockAt: { 1: attention } });
    await savePretrained(hybrid, join(folder, 'hybrid'), { layout: 'official' });
    const { model: loaded } = await fromPretrained(join(folder, 'hybrid'), { device });
    expect(loaded.config.blockAt).toMatchObject({ 1: attention });
    expect(values(loaded)).toEqual(values(hybrid));
    expect(() => pretrainedFiles(hybrid, { layout: 'huggingface' })).toThrow(/no checkpoint of layout huggingface/);
    const block = { kind: 'mamba2', normGroups: 2 } as const;
    const grouped = build(device, { block, layer: { kind: 'ssd', headDim: 4, nGroups: 2 } });
    await savePretrained(grouped, join(folder, 'grouped'), { layout: 'official' });
    const { model: again } = await fromPretrained(join(folder, 'grouped'), { device });
    expect(again.config.block).toMatchObject(block);
    expect(values(again)).toEqual(values(grouped));
    expect(() => pretrainedFiles(grouped)).toThrow(/normGroups of the Mamba-2 block is 2, expected 1/);
    for (const each of [hybrid, loaded, grouped, again]) each.dispose();
  });

  it('write what the two libraries look for', async () => {
    const model = build(device);
    await savePretrained(model, join(folder, 'hf'));
    await savePretrained(model, join(folder, 'official'), { layout: 'official' });
    expect(await readdir(join(folder, 'hf'))).toEqual(['config.json', 'model.safetensors']);
    expect(await json(folder, 'hf', 'config.json')).toMatchObject({
      architectures: ['MambaForCausalLM'],
      ...{ model_type: 'mamba', hidden_size: 8, intermediate_size: 16, time_step_rank: 1, vocab_size: 16 },
      ...{ use_bias: false, tie_word_embeddings: true, dtype: 'float32' },
    });
    const { tensors, metadata } = readSafetensors(
      new Uint8Array(await readFile(join(folder, 'hf', 'model.safetensors'))),
    );
    expect(metadata.get('format')).toBe('pt');
    expect(tensors.has('backbone.embeddings.weight')).toBe(true);
    expect(tensors.has('lm_head.weight')).toBe(false);
    expect(await readdir(join(folder, 'official'))).toEqual(['config.json', 'pytorch_model.bin']);
    expect(await json(folder, 'official', 'config.json')).toMatchObject({
      ...{ d_model: 8, n_layer: 2, vocab_size: 13, ssm_cfg: {}, pad_vocab_size_multiple: 8, tie_embeddings: true },
    });
    model.dispose();
  });

  it('cut large files into shards, and read them', async () => {
    const model = build(device);
    await savePretrained(model, folder, { shardBytes: 2000 });
    const files = await readdir(folder);
    const shards = files.filter((file) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(file));
    expect(shards.length).toBeGreaterThan(2);
    expect(files).toContain('model.safetensors.index.json');
    const { model: loaded } = await fromPretrained(folder, { device });
    expect(values(loaded)).toEqual(values(model));
    model.dispose();
    loaded.dispose();
  });

  it('read a PyTorch file beside a config of transformers', async () => {
    const model = build(device);
    await savePretrained(model, folder, { layout: 'official' });
    await savePretrained(model, join(folder, 'hf'));
    const files = new Map<string, Uint8Array>([
      ['config.json', await readFile(join(folder, 'hf', 'config.json'))],
      ['pytorch_model.bin', await readFile(join(folder, 'pytorch_model.bin'))],
    ]);
    const { model: loaded, format } = await fromPretrained(memoryFiles(files), { device });
    expect(format.layout).toBe('huggingface');
    expect(values(loaded)).toEqual(values(model));
    model.dispose();
    loaded.dispose();
  });

  it.each(layouts)('read a PyTorch checkpoint in shards beside a config of the %s layout', async (layout) => {
    const model = build(device);
    await savePretrained(model, folder, { layout: 'official' });
    await savePretrained(model, join(folder, layout), { layout });
    const files = await torchShards(await readFile(join(folder, 'pytorch_model.bin')));
    files.set('config.json', await readFile(join(folder, layout, 'config.json')));
    const { model: loaded, format } = await fromPretrained(memoryFiles(files), { device });
    expect(format.layout).toBe(layout);
    expect(values(loaded)).toEqual(values(model));
    loaded.dispose();
    const [shard] = [...files.keys()].filter((name) => name.endsWith('.bin'));
    files.delete(shard);
    await expect(fromPretrained(memoryFiles(files, 'my files'), { device })).rejects.toThrow(
      `my files: there is no ${shard}, which the index lists`,
    );
    model.dispose();
  });

  it('read the Blobs of a file input', async () => {
    const model = build(device);
    const blobs = new Map<string, Blob>();
    for (const { name, pieces } of pretrainedFiles(model)) {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const piece of pieces()) parts.push(Uint8Array.from(piece));
      blobs.set(name, new Blob(parts));
    }
    const { model: loaded } = await fromPretrained(memoryFiles(blobs), { device });
    expect(values(loaded)).toEqual(values(model));
    model.dispose();
    loaded.dispose();
  });

  it('store matrices and tables, and nothing else, in half precision', async () => {
    const model = build(device, { tieEmbeddings: false });
    await savePretrained(model, folder);
    const { model: loaded } = await fromPretrained(folder, { device, dtype: 'bfloat16' });
    const expected = values(model);
    const found = values(loaded);
    let halves = 0;
    for (const [key, variable] of loaded.stateDict()) {
      const half = /(in_proj|out_proj|x_proj|dt_proj|embedding|lm_head)\.weight$/.test(key);
      halves += Number(half);
      expect(variable.dtype, key).toBe(half ? 'bfloat16' : 'float32');
      expect(found[key], key).toEqual(half ? expected[key].map((v) => fromBFloat16(toBFloat16(v))) : expected[key]);
    }
    expect(halves).toBe(10);
    // And back: what is stored in half precision is written so.
    await savePretrained(loaded, join(folder, 'half'));
    expect((await json(folder, 'half', 'config.json')).dtype).toBe('bfloat16');
    const { model: again } = await fromPretrained(join(folder, 'half'), { device, dtype: 'bfloat16' });
    expect(values(again)).toEqual(found);
    for (const each of [model, loaded, again]) each.dispose();
  });

  it('refuse folders with other weights, and models that no layout has words for', async () => {
    const model = build(device);
    await savePretrained(model, folder);
    await expect(savePretrained(model, folder, { layout: 'official' })).rejects.toThrow(
      /holds model.safetensors already/,
    );
    await savePretrained(model, folder);
    const wrong: [Partial<LanguageModelConfig>, Layout, RegExp][] = [
      [{ layer: 's4d' }, 'official', /no checkpoint of layout official has block mamba with layer s4d/],
      [{ block: 'plain' }, 'huggingface', /block plain with layer s6/],
      [{ norm: 'layer' }, 'huggingface', /norm is "layer"/],
      [{ normEpsilon: 1e-6 }, 'official', /normEpsilon is 0.000001/],
      [{ layer: { kind: 's6', selective: { B: false } } }, 'official', /selective/],
      [{ layer: { kind: 's6', aInit: 's4d-lin' } }, 'huggingface', /aInit/],
    ];
    for (const [changes, layout, message] of wrong) {
      const other = build(device, changes);
      expect(() => pretrainedFiles(other, { layout })).toThrow(message);
      expect(() => pretrainedFiles(other, { layout })).toThrow(OutOfRangeError);
      other.dispose();
    }
    expect(() => pretrainedFiles(model, { layout: 'onnx' as never })).toThrow(/layout is "onnx"/);
    model.dispose();
  });
});

/** Files whose reads are watched. */
function watched(files: CheckpointFiles, onRead: (bytes: number) => void): CheckpointFiles {
  return {
    ...files,
    async open(file) {
      const source = await files.open(file);
      const watching: RandomAccessSource = {
        size: source.size,
        read(offset, length) {
          onRead(length);
          return source.read(offset, length);
        },
        close: () => source.close?.(),
      };
      return watching;
    },
  };
}

describe('fromPretrained', () => {
  it.each(layouts)('never holds two copies of the weights (%s)', async (layout) => {
    const model = build(device, { dModel: 64, vocabSize: 200, nLayer: 3 });
    const modelBytes = [...new Set(model.stateDict().values())].reduce((sum, v) => sum + v.byteLength, 0);
    const largest = Math.max(...[...model.stateDict().values()].map((v) => v.byteLength));
    await savePretrained(model, folder, { layout });
    model.dispose();
    const before = device.memory();
    let most = 0;
    let largestRead = 0;
    const files = watched(folderFiles(folder), (bytes) => {
      most = Math.max(most, device.memory().bytes - before.bytes);
      largestRead = Math.max(largestRead, bytes);
    });
    const { model: loaded } = await fromPretrained(files, { device });
    const { bytes, allocations } = device.memory();
    expect(bytes - before.bytes).toBe(modelBytes);
    // On the device: the model, allocated once and nothing beside it; on the host: a tensor at a time.
    expect(most).toBe(modelBytes);
    expect(allocations - before.allocations).toBe(loaded.parameters().size);
    expect(largestRead).toBeLessThanOrEqual(largest);
    expect(largestRead).toBeLessThan(modelBytes / 4);
    loaded.dispose();
  });

  it('tells all that is missing, unexpected and misshapen, before it allocates', async () => {
    const model = build(device);
    await savePretrained(model, folder);
    model.dispose();
    const path = join(folder, 'model.safetensors');
    const tensors = new Map(readSafetensors(new Uint8Array(await readFile(path))).tensors);
    const mixer = 'backbone.layers.1.mixer';
    tensors.delete(`${mixer}.A_log`);
    tensors.set('extra.weight', { dtype: 'F32', shape: [1], bytes: new Uint8Array(4) });
    await writeFile(path, writeSafetensors(tensors));
    const before = device.memory().allocations;
    const error = await fromPretrained(folder, { device }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StateDictError);
    expect(error).toMatchObject({ missing: [`${mixer}.A_log`], unexpected: ['extra.weight'], misfit: [] });
    expect(device.memory().allocations).toBe(before);

    // strict: false keeps a fresh value for what is missing.
    const { model: partial, report } = await fromPretrained(folder, { device, strict: false });
    expect(report).toMatchObject({ missing: [`${mixer}.A_log`], unexpected: ['extra.weight'] });
    const A = partial.stateDict().get(`${mixer}.A_log`)!.dataSync();
    expect(A[2]).toBeCloseTo(Math.log(3), 6);
    partial.dispose();

    tensors.set(`${mixer}.A_log`, { dtype: 'F32', shape: [16, 15], bytes: new Uint8Array(4 * 240) });
    await writeFile(path, writeSafetensors(tensors));
    await expect(fromPretrained(folder, { device, strict: false })).rejects.toMatchObject({
      misfit: [{ key: `${mixer}.A_log`, reason: 'shape (16, 15), expected (16, 16)' }],
    });
    expect(device.memory().buffers).toBe(0);
  });

  it('tells how far it is, and stops when it is asked to', async () => {
    const model = build(device);
    await savePretrained(model, folder);
    model.dispose();
    const seen: string[] = [];
    const { model: loaded } = await fromPretrained(folder, {
      device,
      onProgress: ({ stage, done, total }) => seen.push(`${stage} ${done}/${total}`),
    });
    expect([seen[0], seen.at(-1)]).toEqual(['load 1/22', 'load 22/22']);
    loaded.dispose();
    const controller = new AbortController();
    const stopping = fromPretrained(folder, {
      device,
      signal: controller.signal,
      onProgress: ({ done }) => done === 5 && controller.abort(new Error('enough')),
    });
    await expect(stopping).rejects.toThrow('enough');
    expect(device.memory().buffers).toBe(0);
  });

  it("reads Python's infinities", async () => {
    const model = build(device, { block: 'mamba2', layer: { kind: 'ssd', headDim: 4 } });
    await savePretrained(model, folder);
    const path = join(folder, 'config.json');
    const text = await readFile(path, 'utf8');
    await writeFile(
      path,
      text.replace('"rms_norm"', '"note": "to \\"Infinity", "time_step_limit": [0.5, Infinity], "rms_norm"'),
    );
    const { model: loaded } = await fromPretrained(folder, { device });
    expect(loaded.config.layer).toMatchObject({ dtLimit: [0.5, Infinity] });
    model.dispose();
    loaded.dispose();
  });

  it('refuses what is no checkpoint, by name', async () => {
    const load = (source: string | CheckpointFiles): Promise<unknown> => fromPretrained(source, { device });
    await expect(load(join(folder, 'nowhere'))).rejects.toThrow(/is no folder, and no repository of the hub/);
    await expect(load(folder)).rejects.toThrow(CheckpointError);
    await expect(load(folder)).rejects.toThrow(/there is no config.json/);
    const config = async (text: string): Promise<void> => writeFile(join(folder, 'config.json'), text);
    await config('{');
    await expect(load(folder)).rejects.toThrow(/config.json is no JSON/);
    await config('[]');
    await expect(load(folder)).rejects.toThrow(/config.json: it holds no object/);
    await config('{"model_type":"llava"}');
    await expect(load(folder)).rejects.toThrow(/model_type is "llava", expected a model of mamba \(official\)/);
    await config('{"d_model":8,"n_layer":1,"vocab_size":8,"ssm_cfg":{"layer":"Mamba9"}}');
    await expect(load(folder)).rejects.toThrow(/ssm_cfg.layer is "Mamba9"/);
    await config('{"d_model":8,"n_layer":1,"vocab_size":8}');
    await expect(load(folder)).rejects.toThrow(
      /there is no model.safetensors, .*, pytorch_model.bin or pytorch_model.bin.index.json/,
    );
    await writeFile(join(folder, 'pytorch_model.bin'), 'nothing');
    await expect(load(folder)).rejects.toMatchObject({ code: 'not-a-zip' });
    await expect(fromPretrained(folder, { device, dtype: 'int8' as never })).rejects.toThrow(/dtype is "int8"/);
    expect(device.memory().buffers).toBe(0);
  });
});
