import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cpu, type Device } from '@mamba-ts/tensor';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  fromPretrained,
  hubFiles,
  isHubId,
  type LanguageModel,
  type Layout,
  type LoadProgress,
  openWeights,
  pretrainedFiles,
} from '../src/index';
import { build, temporaryFolder, torchShards, values } from './checkpoint-folders';
import { disposeEmpty } from './harness';
import { type HubServer, startHub } from './hub-server';

let device: Device;
let cacheDir: string;
let remove: () => Promise<void>;
let hub: HubServer;
const files = new Map<string, Uint8Array>();
beforeAll(async () => {
  device = await cpu({ threads: 1 });
  const model = build(device, { vocabSize: 3000, dModel: 32 });
  for (const [name, content] of await written(model, 'huggingface')) files.set(name, content);
  model.dispose();
});
afterAll(() => disposeEmpty(device));
beforeEach(async () => {
  ({ path: cacheDir, remove } = await temporaryFolder());
  hub = await startHub(files);
});
afterEach(async () => {
  await hub.close();
  await remove();
});

/** The files that saving would make. */
async function written(model: LanguageModel, layout: Layout): Promise<Map<string, Uint8Array>> {
  const made = new Map<string, Uint8Array>();
  for (const { name, pieces } of pretrainedFiles(model, { layout })) {
    const parts: Uint8Array[] = [];
    for await (const piece of pieces()) parts.push(piece.slice());
    made.set(name, new Uint8Array(Buffer.concat(parts)));
  }
  return made;
}

const weights = 'model.safetensors';
const load = async (options: object = {}): Promise<number> => {
  const { model } = await fromPretrained('owner/name', { device, cacheDir, hubUrl: hub.url, ...options });
  const sum = model.stateDict().get('backbone.embedding.weight')!.dataSync()[5];
  model.dispose();
  return sum;
};
const repository = (): string => join(cacheDir, 'models--owner--name');

describe('fromPretrained from the hub', () => {
  it('downloads into the cache that the hub libraries share, tells how far it is, and finds it there again', async () => {
    const progress: LoadProgress[] = [];
    const first = await load({ onProgress: (p: LoadProgress) => progress.push(p) });
    const downloads = progress.filter(({ stage, name }) => stage === 'download' && name === weights);
    expect(downloads[0]).toMatchObject({ done: 0, total: files.get(weights)!.length });
    expect(downloads.at(-1)!.done).toBe(files.get(weights)!.length);
    expect(progress.at(-1)).toMatchObject({ stage: 'load' });

    expect(await readdir(repository())).toEqual(['blobs', 'refs', 'snapshots']);
    expect(await readFile(join(repository(), 'refs', 'main'), 'utf8')).toBe(hub.commit);
    const snapshot = join(repository(), 'snapshots', hub.commit);
    expect(await readdir(snapshot)).toEqual(['config.json', weights]);
    expect(await readlink(join(snapshot, weights))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    expect(await readlink(join(snapshot, 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect((await readdir(join(repository(), 'blobs'))).length).toBe(2);

    hub.requests.length = 0;
    expect(await load()).toBe(first);
    expect(hub.requests).toEqual(['GET revision']);
  });

  it('goes on with a download that was cut off', async () => {
    const found = await hubFiles('owner/name', { cacheDir, hubUrl: hub.url });
    await (await found.open('config.json')).close?.();
    hub.breakAfter = 100_000;
    await expect(load()).rejects.toThrow(/download of model.safetensors ended after \d+ of \d+ bytes/);
    const [partial] = (await readdir(join(repository(), 'blobs'))).filter((name) => name.endsWith('.incomplete'));
    const { size } = await stat(join(repository(), 'blobs', partial));
    expect(size).toBeGreaterThan(0);
    hub.requests.length = 0;
    await load();
    expect(hub.requests).toContain(`GET resolve ${weights} bytes=${size}-${files.get(weights)!.length - 1}`);
    expect((await readdir(join(repository(), 'blobs'))).some((name) => name.endsWith('.incomplete'))).toBe(false);
  });

  it('works offline with what is in the cache, by name and by commit', async () => {
    await expect(load({ offline: true })).rejects.toThrow(/is not in the cache .* and offline is set/);
    const first = await load();
    const { commit } = hub;
    await hub.close();
    expect(await load({ offline: true })).toBe(first);
    expect(await load({ offline: true, revision: commit })).toBe(first);
    // Nobody answers: as offline.
    expect(await load()).toBe(first);
    hub = await startHub(files);
  });

  it('refuses content that is not what the hub says it is', async () => {
    hub.spoiled.set(weights, new Uint8Array(files.get(weights)!.length));
    await expect(load()).rejects.toThrow(/model.safetensors arrived with hash 0*[0-9a-f]+, expected/);
    expect((await readdir(join(repository(), 'blobs'))).length).toBe(1);
    hub.spoiled.clear();
    await load();
  });

  it('stops when it is asked to', async () => {
    const controller = new AbortController();
    const stopping = load({
      signal: controller.signal,
      onProgress: ({ stage, name }: LoadProgress) => {
        if (stage === 'download' && name === weights) controller.abort(new Error('enough'));
      },
    });
    await expect(stopping).rejects.toThrow('enough');
  });

  it('tells which repository is not there', async () => {
    const options = { device, cacheDir, hubUrl: hub.url };
    await expect(fromPretrained('owner/other', options)).rejects.toThrow(
      /hub: owner\/other \(main\): Repository not found/,
    );
    await expect(load({ revision: '../../x' })).rejects.toThrow(/revision is "..\/..\/x"/);
  });

  it('downloads the shards that the index of a PyTorch checkpoint lists, and no other', async () => {
    const model = build(device);
    const official = await written(model, 'official');
    const shards = await torchShards(official.get('pytorch_model.bin')!);
    const content = new Map([...shards, ['config.json', official.get('config.json')!], ['training_args.bin', new Uint8Array(9)]]);
    const sharded = await startHub(content);
    try {
      const { model: loaded } = await fromPretrained('owner/name', { device, cacheDir, hubUrl: sharded.url });
      expect(values(loaded)).toEqual(values(model));
      loaded.dispose();
      const snapshot = await readdir(join(repository(), 'snapshots', sharded.commit));
      expect(snapshot.toSorted()).toEqual(['config.json', ...shards.keys()].toSorted());
    } finally {
      await sharded.close();
      model.dispose();
    }
  });

  it('reads ranges where there is no file system', async () => {
    const { getBuiltinModule } = process;
    process.getBuiltinModule = (() => undefined) as never;
    try {
      const found = await hubFiles('owner/name', { hubUrl: hub.url });
      expect(await found.has(weights)).toBe(true);
      const reader = await openWeights(found);
      hub.requests.length = 0;
      const { bytes } = await reader.read('backbone.norm_f.weight');
      expect(bytes.length).toBe(4 * 32);
      expect(hub.requests.length).toBe(1);
      expect(hub.requests[0]).toMatch(/^GET resolve model.safetensors bytes=\d+-\d+$/);
    } finally {
      process.getBuiltinModule = getBuiltinModule;
    }
  });
});

describe('isHubId', () => {
  it.each(['state-spaces/mamba-130m-hf', 'a/b.c_d'])('takes %s', (id) => expect(isHubId(id)).toBe(true));
  it.each(['gpt2', '../x', 'a/../b', 'a/b/c', './a', 'a/.', '/a/b', 'a\\b', 'https://x/y', ''])('refuses %s', (id) =>
    expect(isHubId(id)).toBe(false),
  );
});
