import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  readSafetensors,
  type SafetensorsTensor,
  tensorFromFloats,
  toFloat32,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fixtures, presentFor, run } from './shared';

type Tensors = Map<string, SafetensorsTensor>;
type Settings = Record<string, unknown>;

interface Case {
  readonly tensors: Tensors;
  readonly settings: Settings;
}

async function readStored(folder: string, name: string): Promise<Case> {
  const { tensors } = readSafetensors(new Uint8Array(await readFile(join(folder, `${name}.safetensors`))));
  const settings = JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as Settings;
  return { tensors: new Map(tensors), settings };
}

async function writeCase(folder: string, name: string, { tensors, settings }: Case): Promise<void> {
  await writeFile(join(folder, `${name}.safetensors`), writeSafetensors(tensors));
  await writeFile(join(folder, `${name}.json`), JSON.stringify(settings));
}

/** Doubles the largest number of a tensor. */
function doubleOne(tensors: Tensors, name: string): void {
  const tensor = tensors.get(name)!;
  const values = Float32Array.from(toFloat32(tensor));
  const largest = values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
  values[largest]! *= 2;
  tensors.set(name, tensorFromFloats(values, tensor.shape));
}

/** Quantities of the rows that missed, in order of the alphabet. */
function missedQuantities(text: string): string[] {
  const rows = text.slice(0, text.indexOf('\n\n')).split('\n');
  const missed = rows.filter((row) => row.includes('MISS'));
  return missed.map((row) => row.slice(58, row.indexOf(')') + 1)).toSorted();
}

function onBothDevices(...quantities: string[]): string[] {
  return quantities.flatMap((quantity) => [`${quantity} (float64)`, `${quantity} (cpu)`]).toSorted();
}

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parity-models-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe.skipIf(!presentFor('s4 fixtures with corrupted results'))('s4', () => {
  const source = join(fixtures, 's4');

  /** Runs one case after `change`. */
  async function runChanged(change: (changed: Case) => void): Promise<{ code: number; text: string }> {
    const stored = await readStored(source, 's4d-lin');
    change(stored);
    const target = join(folder, 's4');
    await cp(join(source, 's4d-lin.json'), join(target, 'other name.json'));
    await writeCase(target, 'other name', stored);
    return run(folder);
  }

  test('a case of another name passes', async () => {
    const { code, text } = await runChanged(() => undefined);
    expect(text).toContain('parity: 24 passed, 0 missed, 0 not yet covered');
    expect(code).toBe(0);
  });

  test('one number of each kind of result', async () => {
    const { code, text } = await runChanged(({ tensors }) => {
      for (const name of ['out', 'out_step', 'kernel']) doubleOne(tensors, name);
      for (const name of ['x', 'layer.kernel.inv_dt', 'output_linear.0.weight']) doubleOne(tensors, `grad.${name}`);
    });
    expect(code).toBe(1);
    const gradients = ['grad x', 'grad layer.kernel.inv_dt', 'grad output_linear.0.weight'];
    expect(missedQuantities(text)).toEqual(onBothDevices('out', 'out, stepped', 'kernel', ...gradients));
  });

  test.each<[string, (changed: Case) => void, string]>([
    ['a parameter that is missing', ({ tensors }) => tensors.delete('param.layer.D'), 'has no parameter layer.D'],
    [
      'a parameter that the block does not have',
      ({ tensors }) => tensors.set('param.layer.kernel.P', tensorFromFloats([1], [1])),
      'the layer has no parameter layer.kernel.P',
    ],
    ['a gradient that is missing', ({ tensors }) => tensors.delete('grad.x'), 'no gradient of x'],
    [
      'a tensor that nobody compares',
      ({ tensors }) => tensors.set('hidden', tensorFromFloats([1], [1])),
      'nothing compares its tensor hidden',
    ],
    ['no size', ({ settings }) => delete settings['N'], 'setting N is missing'],
  ])('%s fails the run by name', async (_what, change, says) => {
    const { code, text } = await runChanged(change);
    expect(text).toContain(says);
    expect(code).toBe(1);
  });

  test('a kernel of another kind is listed, and passes nothing', async () => {
    const { code, text } = await runChanged(({ settings }) => {
      settings['kwargs'] = { ...(settings['kwargs'] as Settings), channels: 2 };
    });
    expect(text).toContain('parity: 0 passed, 0 missed, 1 not yet covered');
    expect(code).toBe(1);
  });
});

describe.skipIf(!presentFor('fixtures of layers with corrupted results'))('s4, h3, hyena', () => {
  test.each([
    ['s4', 's4-dplr-bidir', ['out', 'kernel'], ['layer.kernel.P', 'layer.kernel.C']],
    ['s4', 's4-dplr-legs', ['out_step'], ['layer.kernel.A_imag']],
    ['h3', 'h3-head2', [], ['ssm_k_kernel.kernel.B', 'kernel.kernel.log_dt']],
    ['hyena', 'hyena-operator', [], ['filter_fn.pos_emb.z', 'filter_fn.implicit_filter.1.freq']],
  ])('%s: one number of some results of %s', async (family, name, results, gradients) => {
    const source = join(fixtures, family);
    const stored = await readStored(source, name);
    for (const result of [...results, ...gradients.map((path) => `grad.${path}`)]) doubleOne(stored.tensors, result);
    const target = join(folder, family);
    await cp(join(source, `${name}.json`), join(target, `${name}.json`));
    await writeCase(target, name, stored);
    const { code, text } = await run(folder);
    expect(code).toBe(1);
    const said = results.map((result) => (result === 'out_step' ? 'out, stepped' : result));
    const rows = text
      .slice(0, text.indexOf('\n\n'))
      .split('\n')
      .filter((row) => row.includes('MISS'));
    const missed = rows.map((row) => row.slice(58).replace(/\).*/, ')')).toSorted();
    expect(missed).toEqual(onBothDevices(...said, ...gradients.map((path) => `grad ${path}`)));
  });
});

describe.skipIf(!presentFor('mamba-hf fixtures with corrupted results'))('mamba-hf', () => {
  const source = join(fixtures, 'mamba-hf');

  test('one number of each kind of result', async () => {
    const target = join(folder, 'mamba-hf');
    for (const file of ['config.json', 'model.safetensors']) await cp(join(source, file), join(target, file));
    const stored = await readStored(source, 'expected');
    const { tensors, settings } = stored;
    const gradient = 'backbone.layers.1.mixer.A_log';
    for (const name of ['logits', 'hidden.0', 'hidden.1', 'loss', `grad.${gradient}`]) doubleOne(tensors, name);
    const ids = tensors.get('greedy_ids')!;
    const changed = Uint8Array.from(ids.bytes);
    changed[changed.length - 4]! ^= 1;
    tensors.set('greedy_ids', { ...ids, bytes: changed });
    const steps = (settings['adamw'] as { loss_and_gradnorm: number[][] }).loss_and_gradnorm;
    steps[2]![0]! *= 1.001;
    steps[1]![1]! *= 1.01;
    await writeCase(target, 'other', stored);
    const { code, text } = await run(folder);
    expect(code).toBe(1);
    const forward = ['logits', 'hidden.0', 'hidden.1', 'loss', `grad ${gradient}`, 'greedy ids'];
    expect(missedQuantities(text)).toEqual(onBothDevices(...forward, 'loss of step 2', 'gradient norm of step 1'));
  });

  test('what is missing, left over or not known is told', async () => {
    const target = join(folder, 'mamba-hf');
    for (const file of ['config.json', 'model.safetensors']) await cp(join(source, file), join(target, file));
    const { tensors, settings } = await readStored(source, 'expected');
    const { adamw: _adamw, ...rest } = settings;
    await writeCase(target, 'no-training', { tensors, settings: rest });
    await writeCase(target, 'more', {
      tensors: new Map([...tensors, ['attention', tensorFromFloats([1], [1])]]),
      settings: { ...settings, extra: { warmup: 3 }, scheduler: 'cosine' },
    });
    const forgetful = new Map(tensors);
    forgetful.delete('grad.backbone.norm_f.weight');
    await writeCase(target, 'forgetful', { tensors: forgetful, settings });
    const { code, text } = await run(folder);
    expect(code).toBe(1);
    expect(text).toMatch(/no-training .*MISS: setting adamw is missing or incomplete/);
    expect(text).toMatch(/forgetful .*MISS: the fixture has no gradient of backbone\.norm_f\.weight/);
    expect(text).toMatch(/more .*MISS: nothing compares its tensor attention/);
    expect(text).toContain('mamba-hf: more: scheduler, more: extra.warmup');
  });

  test('a model of another kind is refused by name', async () => {
    await cp(source, join(folder, 'mamba-hf'), { recursive: true });
    const path = join(folder, 'mamba-hf', 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8')) as Settings;
    await rm(path, { force: true });
    await writeFile(path, JSON.stringify({ ...config, hidden_act: 'relu' }));
    const { code, text } = await run(folder);
    expect(text).toMatch(/expected .*MISS: .*hidden_act is "relu"/);
    expect(code).toBe(1);
  });
});

describe.skipIf(!presentFor('mamba-official fixtures with corrupted results'))('mamba-official', () => {
  const source = join(fixtures, 'mamba-official');

  test('one number of each kind of result, what is left over, and other weights', async () => {
    const target = join(folder, 'mamba-official');
    for (const file of ['config.json', 'pytorch_model.bin']) await cp(join(source, file), join(target, file));
    const { tensors, settings } = await readStored(source, 'expected');
    await writeCase(target, 'good', { tensors, settings });
    expect(await run(folder)).toMatchObject({ code: 0 });
    const changed = new Map(tensors);
    doubleOne(changed, 'logits');
    const ids = changed.get('greedy_ids')!;
    const bytes = Uint8Array.from(ids.bytes);
    bytes[bytes.length - 4]! ^= 1;
    changed.set('greedy_ids', { ...ids, bytes });
    await writeCase(target, 'good', { tensors: changed, settings });
    const missed = await run(folder);
    expect(missed.code).toBe(1);
    expect(missedQuantities(missed.text)).toEqual([
      'greedy ids (cpu)',
      'greedy ids (float64)',
      'logits, absolute (cpu)',
      'logits, absolute (float64)',
    ]);
    await writeCase(target, 'good', {
      tensors: new Map([...tensors, ['attention', tensorFromFloats([1], [1])]]),
      settings: { ...settings, scheduler: 'cosine' },
    });
    const { code, text } = await run(folder);
    expect(code).toBe(1);
    expect(text).toMatch(/MISS: nothing compares its tensor attention/);
    expect(text).toMatch(/MISS: nothing reads its setting scheduler/);
    await writeFile(join(target, 'pytorch_model.bin'), 'nothing');
    expect((await run(folder)).text).toMatch(/good .*MISS: torch file: no end of a zip directory/);
  });
});
