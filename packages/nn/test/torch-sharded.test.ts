import { bytesSource, type RandomAccessSource, toFloat32 } from '@mamba-ts/nn/safetensors';
import { openShardedTorchFiles, TorchFileError, type TorchFileLimits } from '@mamba-ts/nn/torch';
import { fuzz, Mutator } from '@mamba-ts/vitest-preset/fuzz';
import { beforeAll, expect, test } from 'vitest';
import { counting } from './safetensors-files';
import { written } from './torch-files';

const [one, two] = ['pytorch_model-00001-of-00002.bin', 'pytorch_model-00002-of-00002.bin'];
const weightMap = { embed: one, __proto__x: one, head: two };
const indexOf = (map: unknown): string => JSON.stringify({ metadata: { total_size: 24 }, weight_map: map });

let files: Map<string, Uint8Array>;
beforeAll(async () => {
  const first = await written(new Map([['embed', counting('F32', [2, 2], 4)], ['__proto__x', counting('BF16', [3], 2)]]));
  const second = await written(new Map([['head', counting('F32', [3], 4)], ['unlisted', counting('F32', [1], 4)]]));
  files = new Map([[one, first], [two, second]]);
});

/** No file of the checkpoint has this name. */
class NoSuchFile extends Error {}

/** Files in memory that tell what was opened and closed. */
function opener(from: ReadonlyMap<string, Uint8Array> = files): { open: (file: string) => RandomAccessSource; log: string[] } {
  const log: string[] = [];
  return {
    log,
    open(file) {
      const bytes = from.get(file);
      if (bytes === undefined) throw new NoSuchFile(file);
      log.push(`open ${file}`);
      return { ...bytesSource(bytes), close: () => void log.push(`close ${file}`) };
    },
  };
}

test('tensors of all shards are read by name; each file is opened once and closed', async () => {
  const { open, log } = opener();
  const reader = await openShardedTorchFiles(indexOf(weightMap), open);
  expect([...reader.entries.keys()]).toEqual(Object.keys(weightMap));
  expect(reader.entries.get('__proto__x')).toMatchObject({ dtype: 'BF16', shape: [3] });
  expect(await reader.read('embed')).toEqual(counting('F32', [2, 2], 4));
  expect(await reader.read('__proto__x')).toEqual(counting('BF16', [3], 2));
  expect(await reader.read('head')).toEqual(counting('F32', [3], 4));
  await expect(reader.read('unlisted')).rejects.toMatchObject({ code: 'missing-tensor' });
  await reader.close();
  expect(log).toEqual([`open ${one}`, `open ${two}`, `close ${one}`, `close ${two}`]);
});

/** Refused with this code and message, and every file that was opened is closed. */
async function refuses(index: string, code: string, message: RegExp, from = files, limits: TorchFileLimits = {}): Promise<string[]> {
  const { open, log } = opener(from);
  const error = await openShardedTorchFiles(index, open, limits).then(() => null, (e: unknown) => e);
  expect(error).toBeInstanceOf(TorchFileError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) as string });
  expect(log.filter((line) => line.startsWith('close'))).toHaveLength(log.length / 2);
  return log;
}

test('an index that names a file outside of the folder is refused before any file is opened', async () => {
  const names = ['../x.bin', '/etc/x.bin', 'a/b.bin', 'a\\b.bin', 'C:x.bin', '.bin', '.hidden.bin', 'x.bin\u0000', 'x.bin\n', 'x', 'x.pt', 'model.safetensors', ''];
  for (const name of [...names, `${'x'.repeat(300)}.bin`])
    expect(await refuses(indexOf({ ...weightMap, head: name }), 'unsafe-path', /expected a plain name that ends in \.bin/)).toEqual([]);
});

test('an index that is none, or too large, is refused', async () => {
  for (const index of ['', '{', '[]', '{}', '{"weight_map":[]}', '{"weight_map":{"a":1}}', indexOf(weightMap).replace('"head":', '"embed":')])
    expect(await refuses(index, 'invalid-index', /^torch file: index file/), index).toEqual([]);
  await refuses(indexOf(weightMap), 'limit', /over 2 tensors/, files, { maxTensors: 2 });
  await refuses(indexOf(weightMap), 'limit', /index file has \d+ bytes, expected at most 64/, files, { maxPickleBytes: 64 });
});

test('a tensor that its file lacks, or that two shards have, is refused', async () => {
  await refuses(indexOf({ ...weightMap, head: one }), 'missing-tensor', /index lists tensor "head" in ".*00001.*", not there/);
  const again = new Map(files).set(two, await written(new Map([['head', counting('F32', [3], 4)], ['embed', counting('F32', [1], 4)]])));
  await refuses(indexOf(weightMap), 'duplicate-tensor', /tensor "embed" is in ".*00002.*", where the index lists it in ".*00001/, again);
});

test('a shard that is not there, or broken, is an error, and what was opened is closed', async () => {
  const { open, log } = opener(new Map([[one, files.get(one)!]]));
  await expect(openShardedTorchFiles(indexOf(weightMap), open)).rejects.toThrow(NoSuchFile);
  expect(log).toEqual([`open ${one}`, `close ${one}`]);
  await refuses(indexOf(weightMap), 'not-a-zip', /./, new Map(files).set(two, files.get(two)!.subarray(0, 20)));
});

test('40000 mutated indices and shards: read, or refused with a TorchFileError; never a file outside of the folder', async () => {
  const mutator = new Mutator(23);
  const text = indexOf(weightMap);
  const plausible = [one, two, '../x.bin', '/x.bin', 'x.safetensors', 'y.bin', {}, { embed: two }, 'embed'];
  const asked = new Set<string>();
  const report = await fuzz({
    count: 40_000,
    input: (i) => {
      const index = i % 4 === 0 ? text : i % 4 === 1 ? mutator.jsonText(text) : JSON.stringify(mutator.json(JSON.parse(text), plausible));
      if (i % 4 !== 0) return { index, shards: files };
      const name = mutator.pick([one, two]);
      return { index, shards: new Map(files).set(name, mutator.bytes(files.get(name)!)) };
    },
    read: async ({ index, shards }) => {
      const { open } = opener(shards);
      const reader = await openShardedTorchFiles(
        index,
        (file) => {
          asked.add(file);
          return open(file);
        },
        { maxTensors: 50, maxPickleBytes: 4096 },
      );
      for (const name of reader.entries.keys()) toFloat32(await reader.read(name));
    },
    typed: [TorchFileError, NoSuchFile],
    show: ({ index }) => index,
  });
  const reached = ['invalid-index', 'unsafe-path', 'missing-tensor', 'invalid-zip', 'invalid-pickle'];
  expect(reached.filter((code) => (report.refused.get(code) ?? 0) < 50)).toEqual([]);
  expect([...asked].filter((file) => /[/\\:]|^\.|\p{Cc}/u.test(file) || !file.endsWith('.bin'))).toEqual([]);
  expect(report.accepted).toBeGreaterThan(1000);
  expect(report.accepted).toBeLessThan(20_000);
  expect(report.heapGrowth).toBeLessThan(256 * 2 ** 20);
}, 600_000);
