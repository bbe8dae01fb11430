import { readdirSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors, writeSafetensors } from '@mamba-ts/nn/safetensors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { families } from '../src/registry';
import { fixtures, presentFor, run } from './shared';

const present = presentFor(`parity of ${families.map(({ name }) => name).join(', ')}`);

describe.skipIf(!present)('the fixtures beside the repository', () => {
  test('nothing is missed, and what exists is compared', async () => {
    const { code, text } = await run(fixtures);
    const rows = text.split('\n');
    console.log(rows.slice(rows.findIndex((row) => row.startsWith('family') && row.includes('compared'))).join('\n'));
    expect(code).toBe(0);
    const folders = readdirSync(fixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const unlisted = folders.map(({ name }) => name).filter((name) => !families.some((family) => family.name === name));
    expect(unlisted).toEqual([]);
    for (const name of [
      'selective-scan',
      'tokenizer',
      'golden',
      'mamba-hf',
      'mamba2-hf',
      'mamba-official',
      's4',
      'h3',
      'hyena',
    ]) {
      expect(text).toMatch(new RegExp(`^${name} +[1-9]\\d* +0 `, 'm'));
    }
  }, 180_000);
});

describe.skipIf(!present)('a corrupted copy fails the run', () => {
  let copy = '';
  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), 'parity-copy-'));
  });
  afterEach(() => rm(copy, { recursive: true }));

  /** Copies the first case of the scan that has tensor `name`, with one number of it changed by one percent. */
  async function corruptScan(name: string): Promise<void> {
    const folder = join(fixtures, 'selective-scan');
    for (const file of readdirSync(folder).filter((entry) => entry.endsWith('.safetensors'))) {
      const bytes = new Uint8Array(await readFile(join(folder, file)));
      const { tensors } = readSafetensors(bytes);
      const tensor = tensors.get(name);
      if (tensor === undefined) continue;
      const target = join(copy, 'selective-scan');
      const settings = file.replace('.safetensors', '.json');
      for (const part of [file, settings]) await cp(join(folder, part), join(target, part));
      expect((await run(copy)).code).toBe(0);
      const view = new DataView(tensor.bytes.buffer, tensor.bytes.byteOffset);
      const values = Array.from({ length: tensor.bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
      const largest = values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]!) ? i : best), 0);
      view.setFloat32(4 * largest, values[largest]! * 1.01, true);
      await writeFile(join(target, file), writeSafetensors(tensors));
      return;
    }
    throw new Error(`no case has ${name}`);
  }

  const results = ['out', 'last_state', 'last_state.ri'];
  const gradients = ['u', 'delta', 'A', 'A.ri', 'B', 'B.ri', 'C', 'D', 'z', 'delta_bias'].map((name) => `grad.${name}`);
  test.each([...results, ...gradients])('one number of %s', async (name) => {
    await corruptScan(name);
    const { code, text } = await run(copy);
    expect(code).toBe(1);
    expect(text).toMatch(/\(float64\).*MISS/);
    expect(text).toMatch(/\(wasm\).*MISS/);
    expect(text).toContain('2 missed');
  });

  test('one token id', async () => {
    const source = join(fixtures, 'tokenizer');
    await cp(source, join(copy, 'tokenizer'), { recursive: true });
    expect((await run(copy)).code).toBe(0);
    const file = readdirSync(source).find((name) => name.startsWith('gpt-neox'))!;
    const samples = JSON.parse(await readFile(join(source, file), 'utf8')) as { ids: number[] }[];
    samples[3]!.ids[1]! += 1;
    await writeFile(join(copy, 'tokenizer', file), JSON.stringify(samples));
    const { code, text } = await run(copy);
    expect(code).toBe(1);
    expect(text).toMatch(/\[3\] +ids +1 +0 {2}MISS/);
  });

  test('the hash of a text’s ids', async () => {
    await cp(join(fixtures, 'tokenizer'), join(copy, 'tokenizer'), { recursive: true });
    const path = join(copy, 'tokenizer', 'tinyshakespeare.json');
    const digest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...digest, sha256_u32le: '0'.repeat(64) }));
    const { code, text } = await run(copy);
    expect(code).toBe(1);
    expect(text).toMatch(/tinyshakespeare +SHA-256 of ids +1 +0 {2}MISS/);
    expect(text).toContain('1 missed');
  });
});
