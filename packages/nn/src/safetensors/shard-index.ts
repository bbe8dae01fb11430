import { quote, SafetensorsError } from './error';
import { MAX_HEADER_BYTES, MAX_TENSORS, type SafetensorsLimits } from './header';
import { JsonReader } from './json';

/** A checked `model.safetensors.index.json` or `pytorch_model.bin.index.json`: the two have one format. */
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
  return readShardIndex(text, 'safetensors', limits);
}

/** The same for files with names that end in a dot and `extension`. @throws SafetensorsError */
export function readShardIndex(
  text: string | Uint8Array,
  extension: 'safetensors' | 'bin',
  limits: SafetensorsLimits,
): ShardIndex {
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
        checkFileName(file, tensor, extension);
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
function checkFileName(file: string, tensor: string, extension: string): void {
  // A device name or an alternate stream of Windows needs a colon; a folder, a separator; a hidden file, a leading dot.
  const plain = /^[^./\\:\p{Cc}][^/\\:\p{Cc}]*$/u;
  if (!plain.test(file) || !file.endsWith(`.${extension}`) || file.length > MAX_FILE_NAME) {
    throw new SafetensorsError(
      'unsafe-file-name',
      `weight_map puts tensor ${quote(tensor)} in file ${quote(file)}, ` +
        `expected a plain name that ends in .${extension}`,
    );
  }
}
