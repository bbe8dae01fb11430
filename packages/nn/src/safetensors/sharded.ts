import { quote, SafetensorsError } from './error';
import { MAX_HEADER_BYTES, type SafetensorsLimits, type TensorEntry } from './header';
import { openSafetensors, type SafetensorsReader } from './reader';
import { parseShardIndex, type ShardIndex } from './shard-index';
import { fileSource, nodeFileSystem, type RandomAccessSource } from './source';

/**
 * Opens a sharded checkpoint: the headers of all its files now, tensors on demand. Tensors of the files that the index
 * does not list are not part of the checkpoint.
 *
 * @param index text of `model.safetensors.index.json`.
 * @param openShard opens one file by its plain name.
 * @throws SafetensorsError `missing-tensor` when a listed tensor is not in its file, `duplicate-key` when it is in another
 *   one too
 */
export async function openShardedSafetensors(
  index: string | Uint8Array,
  openShard: (file: string) => RandomAccessSource | Promise<RandomAccessSource>,
  limits: SafetensorsLimits = {},
): Promise<SafetensorsReader> {
  return joinShards(
    parseShardIndex(index, limits),
    async (file) => openOrClose(await openShard(file), (source) => openSafetensors(source, limits)),
    (what, message) => new SafetensorsError(what === 'missing-tensor' ? 'missing-tensor' : 'duplicate-key', message),
  );
}

/** Opens a source as a file of tensors; one that cannot be opened is closed. */
export async function openOrClose(
  source: RandomAccessSource,
  open: (source: RandomAccessSource) => Promise<SafetensorsReader>,
): Promise<SafetensorsReader> {
  try {
    return await open(source);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/**
 * The shards of one checkpoint as one reader; all are opened now, and closed if one does not fit.
 *
 * @param failure the error for a tensor that is not in its shard, or that is in another shard too
 */
export async function joinShards(
  { weightMap, files }: ShardIndex,
  openShard: (file: string) => Promise<SafetensorsReader>,
  failure: (what: 'missing-tensor' | 'duplicate-tensor', message: string) => Error,
): Promise<SafetensorsReader> {
  const opened = new Map<string, SafetensorsReader>();
  const close = async (): Promise<void> => {
    for (const reader of opened.values()) await reader.close();
  };
  const entries = new Map<string, Pick<TensorEntry, 'dtype' | 'shape'>>();
  const metadata = new Map<string, string>();
  try {
    for (const file of files) {
      const shard = await openShard(file);
      opened.set(file, shard);
      for (const [key, value] of shard.metadata) metadata.set(key, value);
      for (const name of shard.entries.keys()) {
        const listed = weightMap.get(name);
        if (listed === undefined || listed === file) continue;
        throw failure(
          'duplicate-tensor',
          `tensor ${quote(name)} is in ${quote(file)}, where the index lists it in ${quote(listed)}`,
        );
      }
    }
    for (const [name, file] of weightMap) {
      const entry = opened.get(file)!.entries.get(name);
      if (entry === undefined)
        throw failure('missing-tensor', `index lists tensor ${quote(name)} in ${quote(file)}, not there`);
      entries.set(name, entry);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    metadata,
    entries,
    async read(name) {
      const file = weightMap.get(name);
      if (file === undefined)
        throw failure('missing-tensor', `no tensor ${quote(name)} among the ${weightMap.size} of the index`);
      return opened.get(file)!.read(name);
    },
    close,
  };
}

/** The names that checkpoints of the Hugging Face hub use. */
const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';

/**
 * Opens the checkpoint of a folder (Node only): `model.safetensors`, or the shards that
 * `model.safetensors.index.json` lists.
 */
export async function openSafetensorsFolder(
  folder: string,
  limits: SafetensorsLimits = {},
): Promise<SafetensorsReader> {
  const fs = nodeFileSystem();
  const has = (file: string): Promise<boolean> =>
    fs.access(`${folder}/${file}`).then(
      () => true,
      () => false,
    );
  if (await has(SINGLE)) {
    return openOrClose(await fileSource(`${folder}/${SINGLE}`), (source) => openSafetensors(source, limits));
  }
  if (!(await has(INDEX))) {
    throw new SafetensorsError('invalid-argument', `folder ${quote(folder)} has neither ${SINGLE} nor ${INDEX}`);
  }
  const source = await fileSource(`${folder}/${INDEX}`);
  let index: Uint8Array;
  try {
    const maxBytes = limits.maxHeaderBytes ?? MAX_HEADER_BYTES;
    if (source.size > maxBytes) {
      throw new SafetensorsError('limit', `index file has ${source.size} bytes, expected at most ${maxBytes}`);
    }
    index = await source.read(0, source.size);
  } finally {
    await source.close?.();
  }
  return openShardedSafetensors(index, (file) => fileSource(`${folder}/${file}`), limits);
}
