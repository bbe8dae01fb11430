import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mamba, saveTinyModel, temporaryFolder } from './tiny-model';

let folder: string;
let remove: () => Promise<void>;
const at = (name: string): string => join(folder, name);
beforeAll(async () => {
  ({ path: folder, remove } = await temporaryFolder());
  await saveTinyModel(at('hf'));
  await saveTinyModel(
    at('mamba2'),
    { block: 'mamba2', layer: { kind: 'ssd', headDim: 4, dState: 4 } },
    { layout: 'official' },
  );
});
afterAll(() => remove());

describe('mamba', () => {
  it('explains itself', async () => {
    const { code, out } = await mamba(['--help']);
    expect(code).toBe(0);
    for (const command of ['generate', 'info', 'convert']) {
      expect(out).toContain(command);
      const help = await mamba([command, '--help']);
      expect(help).toMatchObject({ code: 0, err: '' });
      expect(help.out).toContain(`mamba ${command} --model MODEL`);
    }
    expect(await mamba([])).toMatchObject({ code: 2, out: '', err: out });
  });

  it.each<[string[], number, RegExp]>([
    [['train'], 2, /there is no command "train"/],
    [['generate', '--prompt', 'x'], 2, /no model is given/],
    [['generate', 'a/b', '--temprature', '1'], 2, /Unknown option '--temprature'/],
    [['generate', 'a/b', '--prompt', 'x', '--temperature', 'warm'], 2, /--temperature is "warm", expected a number/],
    [['generate', 'a/b', '--prompt', 'x', '--top-k', '0'], 2, /--top-k is "0", expected an integer from 1/],
    [['generate', 'a/b', '--prompt', 'x', '--device', 'tpu'], 2, /--device is "tpu", expected one of cpu, /],
    [['generate', 'a/b', '--prompt', 'x', '--dtype', 'int8'], 2, /--dtype is "int8"/],
    [['generate', 'a/b', 'c'], 2, /"c" is one argument too many/],
    [['generate', 'a/b'], 2, /no prompt is given/],
    [['generate', './nowhere', '--prompt', 'x'], 1, /"\.\/nowhere" is no folder, and no repository of the hub/],
    [
      ['generate', 'a/b', '--prompt', 'x', '--offline', '--cache-dir', '/nowhere'],
      1,
      /is not in the cache .* and offline is set/,
    ],
    [['info'], 2, /no model is given/],
    [['convert', './x'], 2, /no folder is given/],
    [['convert', './x', './y'], 2, /no layout is given/],
    [['convert', './x', './y', '--layout', 'gguf'], 2, /--layout is "gguf", expected one of official, huggingface/],
  ])('refuses %j', async (args, code, message) => {
    const outcome = await mamba(args);
    expect(outcome).toMatchObject({ code, out: '', err: expect.stringMatching(message) });
    expect(outcome.err).toMatch(/^mamba: /);
  });

  it('refuses sampling that makes no sense, before a token is written', async () => {
    expect(await mamba(['generate', at('hf'), '--prompt', 'x', '--top-p', '2'])).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/topP is 2, expected a number in \(0, 1\]/),
    });
  });
});

describe('mamba info', () => {
  it('describes config, parameters and totals', async () => {
    const { code, out } = await mamba(['info', at('hf')]);
    expect(code).toBe(0);
    expect(out).toMatch(/: mamba, huggingface layout/);
    expect(out).toMatch(/vocabSize +259/);
    expect(out).toMatch(/backbone\.layers\.\*\.mixer\.in_proj\.weight +\(32, 8\) +F32 +× 2 +512/);
    const all = await mamba(['info', at('hf'), '--all']);
    expect(all.out).toMatch(/backbone\.layers\.1\.mixer\.in_proj\.weight +\(32, 8\) +F32 +256/);
    const json = JSON.parse((await mamba(['info', at('hf'), '--json'])).out) as Record<string, unknown>;
    expect(json).toMatchObject({ family: 'mamba', layout: 'huggingface', missing: [], unexpected: [], misfit: [] });
    const parameters = json.parameters as number;
    expect(out).toContain(`${parameters.toLocaleString('en')} parameters`);
    const tensors = json.tensors as { shape: number[] }[];
    expect(tensors.reduce((sum, { shape }) => sum + shape.reduce((n, d) => n * d, 1), 0)).toBe(parameters);
    // Per layer: the last 3 inputs of 16 channels, and 4 states of each.
    expect(json.stateBytes).toBe(2 * 4 * (3 * 16 + 16 * 4));
  });

  it('counts tied weights once, and knows Mamba-2', async () => {
    const json = JSON.parse((await mamba(['info', at('mamba2'), '--json'])).out) as Record<string, number>;
    expect(json).toMatchObject({ family: 'mamba2', layout: 'official' });
    const listed = (json.tensors as unknown as { shape: number[] }[]).reduce(
      (n, t) => n + t.shape.reduce((m, d) => m * d, 1),
      0,
    );
    expect(listed - json.parameters).toBe(264 * 8);
  });
});

describe('mamba convert', () => {
  it('goes to the other layout and back, with the same bytes in the end', async () => {
    for (const [name, first, second] of [
      ['hf', 'official', 'huggingface'],
      ['mamba2', 'huggingface', 'official'],
    ] as const) {
      const [there, back] = [at(`${name}-there`), at(`${name}-back`)];
      expect(await mamba(['convert', at(name), there, '--layout', first])).toMatchObject({ code: 0, err: '' });
      expect(await mamba(['convert', '--model', there, '--out', back, '--layout', second])).toMatchObject({ code: 0 });
      expect(await readdir(back)).toEqual(await readdir(at(name)));
      const weights = second === 'official' ? 'pytorch_model.bin' : 'model.safetensors';
      for (const file of ['config.json', weights, 'tokenizer.json'])
        expect(await readFile(join(back, file)), file).toEqual(await readFile(join(at(name), file)));
      const texts = await Promise.all(
        [at(name), there].map((model) => mamba(['generate', model, '--prompt', 'ab', '--max-tokens', '6'])),
      );
      expect(texts[0]).toEqual(texts[1]);
    }
  });

  it('rounds, and cuts into shards', async () => {
    const out = at('shards');
    const args = ['--layout', 'huggingface', '--dtype', 'bfloat16', '--shard-bytes', '1000'];
    expect((await mamba(['convert', at('hf'), out, ...args])).code).toBe(0);
    expect((await readdir(out)).filter((file) => file.endsWith('.safetensors')).length).toBeGreaterThan(2);
    const { out: info } = await mamba(['info', out]);
    expect(info).toMatch(/in_proj\.weight +\(32, 8\) +BF16/);
    expect(info).toMatch(/A_log +\(16, 4\) +F32/);
    expect(await mamba(['convert', at('hf'), out, '--layout', 'official'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/holds model-00001/),
    });
  });
});

describe('fixtures of the public implementations', () => {
  const fixtures = fileURLToPath(new URL('../../../../shared/fixtures/', import.meta.url));
  it.each(['mamba-hf', 'mamba-official', 'mamba2-hf'])('%s: described, and continued as recorded', async (name) => {
    const model = join(fixtures, name);
    if (!existsSync(model)) {
      console.log(`left out, for want of ../shared/fixtures beside the repository: ${name}`);
      return;
    }
    expect((await mamba(['info', model])).code).toBe(0);
    const { code, out } = await mamba(['generate', model, '--ids', '5 6 7', '--max-tokens', '5', '--ignore-eos']);
    expect(code).toBe(0);
    expect(out).toMatch(/^(\d+ ){4}\d+\n$/);
  });
});
