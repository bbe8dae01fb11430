import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  bytesSource,
  openSafetensorsFolder,
  openShardedSafetensors,
  type RandomAccessSource,
  tensorFromFloats,
  toFloat32,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import { afterAll, beforeAll, expect, test } from 'vitest';

const first = writeSafetensors(
  new Map([
    ['embed', tensorFromFloats([1, 2], [2])],
    ['__proto__', tensorFromFloats([3], [1])],
  ]),
  { format: 'pt' },
);
const second = writeSafetensors(
  new Map([
    ['head', tensorFromFloats([4, 5, 6], [3])],
    ['unlisted', tensorFromFloats([7], [1])],
  ]),
);
const files = new Map([
  ['model-00001-of-00002.safetensors', first],
  ['model-00002-of-00002.safetensors', second],
]);
const weightMap =
  '"embed":"model-00001-of-00002.safetensors","__proto__":"model-00001-of-00002.safetensors",' +
  '"head":"model-00002-of-00002.safetensors"';
const index = `{"metadata":{"total_size":24},"weight_map":{${weightMap}}}`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'safetensors-shards-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Shards in memory that count how often they were opened and closed. */
function shards(): { open: (file: string) => RandomAccessSource; log: string[] } {
  const log: string[] = [];
  return {
    log,
    open(file) {
      log.push(`open ${file}`);
      return { ...bytesSource(files.get(file)!), close: () => void log.push(`close ${file}`) };
    },
  };
}

test('tensors of all shards are read by name; each file is opened once and closed', async () => {
  const { open, log } = shards();
  const reader = await openShardedSafetensors(index, open);
  expect([...reader.entries.keys()]).toEqual(['embed', '__proto__', 'head']);
  expect(reader.metadata.get('format')).toBe('pt');
  expect([...toFloat32(await reader.read('embed'))]).toEqual([1, 2]);
  expect([...toFloat32(await reader.read('__proto__'))]).toEqual([3]);
  expect([...toFloat32(await reader.read('head'))]).toEqual([4, 5, 6]);
  await expect(reader.read('unlisted')).rejects.toMatchObject({ code: 'missing-tensor' });
  await reader.close();
  const names = [...files.keys()];
  expect(log).toEqual([...names.map((name) => `open ${name}`), ...names.map((name) => `close ${name}`)]);
});

test('a listed tensor that its file lacks is an error, and what was opened is closed', async () => {
  const { open, log } = shards();
  const wrong = index.replace('"head":"model-00002', '"head":"model-00001');
  await expect(openShardedSafetensors(wrong, open)).rejects.toThrow(
    'index lists tensor "head" in "model-00001-of-00002.safetensors", not there',
  );
  expect(log.filter((line) => line.startsWith('close'))).toHaveLength(log.length / 2);
});

test('a tensor that two shards have is an error', async () => {
  const twice = writeSafetensors(new Map([['head', tensorFromFloats([4], [1])], ['embed', tensorFromFloats([5], [1])]]));
  const open = (file: string): RandomAccessSource => bytesSource(file.includes('00002-of') ? twice : first);
  await expect(openShardedSafetensors(index, open)).rejects.toMatchObject({
    code: 'duplicate-key',
    message: expect.stringMatching(/tensor "embed" is in ".*00002.*", where the index lists it in ".*00001/) as string,
  });
});

test('a broken shard is an error, and every source is closed', async () => {
  const closed: string[] = [];
  const open = (file: string): RandomAccessSource => ({
    ...bytesSource(file.includes('00002-of') ? second.subarray(0, 20) : first),
    close: () => void closed.push(file),
  });
  await expect(openShardedSafetensors(index, open)).rejects.toMatchObject({ code: 'truncated' });
  expect(closed.toSorted()).toEqual([...files.keys()]);
});

test('a folder with one file, with shards, and with neither', async () => {
  const sharded = join(folder, 'sharded');
  await mkdir(sharded);
  await writeFile(join(sharded, 'model.safetensors.index.json'), index);
  for (const [name, bytes] of files) await writeFile(join(sharded, name), bytes);
  const many = await openSafetensorsFolder(sharded);
  expect([...toFloat32(await many.read('head'))]).toEqual([4, 5, 6]);
  await many.close();

  const single = join(folder, 'single');
  await mkdir(single);
  await writeFile(join(single, 'model.safetensors'), first);
  const one = await openSafetensorsFolder(single);
  expect([...toFloat32(await one.read('embed'))]).toEqual([1, 2]);
  await one.close();

  const empty = join(folder, 'empty');
  await mkdir(empty);
  await expect(openSafetensorsFolder(empty)).rejects.toThrow('has neither model.safetensors nor');
});
