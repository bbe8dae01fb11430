import { quote, SafetensorsError } from './error';
import { MAX_HEADER_BYTES, MAX_TENSORS, type SafetensorsLimits, type TensorEntry } from './header';
import { JsonReader } from './json';
import { missingTensor, openSafetensors, type SafetensorsReader } from './reader';
import { fileSource, nodeFileSystem, type RandomAccessSource } from './source';

/** A checked `model.safetensors.index.json`. */
export interface ShardIndex {
  /** Tensor name to file name; the file names are plain names of one folder. */
  readonly weightMap: ReadonlyMap<string, string>;
  /** Each file once, in the order of first mention. */
  readonly files: readonly string[];
}

const MAX_FILES = 10_000;
const MAX_FILE_NAME = 255;

/**
 * Parses the text of an index file.
 *
 * @throws SafetensorsError `unsafe-file-name` for a name that is not a plain `*.safetensors` name, and the JSON codes.
 */
export function parseShardIndex(text: string | Uint8Array, limits: SafetensorsLimits = {}): ShardIndex {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const maxBytes = limits.maxHeaderBytes ?? MAX_HEADER_BYTES;
  if (bytes.length > maxBytes) {
    throw new SafetensorsError('limit', `index file has ${bytes.length} bytes, expected at most ${maxBytes}`);
  }
  const maxTensors = limits.maxTensors ?? MAX_TENSORS;
  const reader = new JsonReader(bytes, 'index file');
  const files = new Set<string>();
  let weightMap: Map<string, string> | undefined;
  reader.readObject('the index', (key) => {
    if (key !== 'weight_map') {
      reader.skipValue(`a field of the index`);
      return;
    }
    const map = new Map<string, string>();
    reader.readObject('weight_map', (tensor) => {
      const file = reader.readString('a file name of weight_map');
      if (!files.has(file)) {
        checkFileName(file, tensor);
        files.add(file);
      }
      map.set(tensor, file);
      if (map.size > maxTensors || files.size > MAX_FILES) {
        throw new SafetensorsError('limit', `weight_map has over ${maxTensors} tensors or over ${MAX_FILES} files`);
      }
    });
    weightMap = map;
  });
  reader.end();
  if (weightMap === undefined) throw new SafetensorsError('invalid-json', 'index file has no weight_map');
  return { weightMap, files: [...files] };
}

/** Files are looked up in one folder; a name that could point anywhere else is refused, not cleaned. */
function checkFileName(file: string, tensor: string): void {
  // A device name or an alternate stream of Windows needs a colon; a folder, a separator; a hidden file, a leading dot.
  const plain = /^[^./\\:\p{Cc}][^/\\:\p{Cc}]*\.safetensors$/u;
  if (!plain.test(file) || file.length > MAX_FILE_NAME) {
    throw new SafetensorsError(
      'unsafe-file-name',
      `weight_map puts tensor ${quote(tensor)} in file ${quote(file)}, ` +
        'expected a plain name that ends in .safetensors',
    );
  }
}

/**
 * Opens a sharded checkpoint: the headers of all its files now, tensors on demand. Tensors of the files that the index
 * does not list are not part of the checkpoint.
 *
 * @param index text of `model.safetensors.index.json`.
 * @param openShard opens one file by its plain name.
 * @throws SafetensorsError `missing-tensor` when a listed tensor is not in its file.
 */
export async function openShardedSafetensors(
  index: string | Uint8Array,
  openShard: (file: string) => RandomAccessSource | Promise<RandomAccessSource>,
  limits: SafetensorsLimits = {},
): Promise<SafetensorsReader> {
  const { weightMap, files } = parseShardIndex(index, limits);
  const opened = new Map<string, SafetensorsReader>();
  const close = async (): Promise<void> => {
    for (const reader of opened.values()) await reader.close();
  };
  const entries = new Map<string, Pick<TensorEntry, 'dtype' | 'shape'>>();
  const metadata = new Map<string, string>();
  try {
    for (const file of files) {
      const source = await openShard(file);
      try {
        opened.set(file, await openSafetensors(source, limits));
      } catch (error) {
        await source.close?.();
        throw error;
      }
      for (const [key, value] of opened.get(file)!.metadata) metadata.set(key, value);
    }
    for (const [name, file] of weightMap) {
      const entry = opened.get(file)!.entries.get(name);
      if (entry === undefined) {
        throw new SafetensorsError('missing-tensor', `index lists tensor ${quote(name)} in ${quote(file)}, not there`);
      }
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
      if (file === undefined) throw missingTensor(name, weightMap.size);
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
    const source = await fileSource(`${folder}/${SINGLE}`);
    try {
      return await openSafetensors(source, limits);
    } catch (error) {
      await source.close?.();
      throw error;
    }
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
