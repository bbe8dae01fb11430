import { blobSource, bytesSource, fileSource, type RandomAccessSource } from '@mamba-ts/nn';
import { CheckpointError } from './checkpoint-error';
import { fileSystem, isFile } from './node-files';

/** The files of one checkpoint, wherever they are: a folder, a repository of the hub, a file input. */
export interface CheckpointFiles {
  /** For messages. */
  readonly name: string;
  has(file: string): Promise<boolean>;
  /** @throws if there is no such file */
  open(file: string): Promise<RandomAccessSource>;
}

/** The names that a checkpoint's files have. */
export const fileNames = {
  config: 'config.json',
  safetensors: 'model.safetensors',
  safetensorsIndex: 'model.safetensors.index.json',
  torch: 'pytorch_model.bin',
  torchIndex: 'pytorch_model.bin.index.json',
  tokenizer: 'tokenizer.json',
} as const;

/** Further files that belong to a model and are copied as they are. */
export const companionFiles: readonly string[] = [
  fileNames.tokenizer,
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
];

/** A folder of the disk (Node only). */
export function folderFiles(folder: string): CheckpointFiles {
  const fs = fileSystem('folderFiles');
  return {
    name: folder,
    has: (file) => isFile(fs, `${folder}/${file}`),
    open: (file) => fileSource(`${folder}/${file}`),
  };
}

/** Files in memory, or of a browser's file input, by name. Blobs are read piece by piece. */
export function memoryFiles(files: ReadonlyMap<string, Uint8Array | Blob>, name = 'files in memory'): CheckpointFiles {
  return {
    name,
    has: async (file) => files.has(file),
    async open(file) {
      const content = files.get(file);
      if (content === undefined) throw new CheckpointError(`${name}: there is no ${file}`);
      return content instanceof Uint8Array ? bytesSource(content) : blobSource(content);
    },
  };
}

/** Enough for any config, index or tokenizer; a bound for files of strangers. */
const LARGEST_TEXT = 2 ** 27;

/** A small file whole. @throws CheckpointError if it is not there, or not small */
export async function readFile(files: CheckpointFiles, file: string): Promise<Uint8Array> {
  if (!(await files.has(file))) throw new CheckpointError(`${files.name}: there is no ${file}`);
  const source = await files.open(file);
  try {
    if (source.size > LARGEST_TEXT)
      throw new CheckpointError(`${files.name}: ${file} has ${source.size} bytes, expected at most ${LARGEST_TEXT}`);
    const bytes = await source.read(0, source.size);
    if (bytes.length !== source.size)
      throw new CheckpointError(`${files.name}: ${file} ended after ${bytes.length} of ${source.size} bytes`);
    return bytes;
  } finally {
    await source.close?.();
  }
}

/**
 * Python's writers put bare `Infinity` and `NaN` into JSON, which has neither.
 *
 * @throws CheckpointError if the file is no JSON otherwise
 */
export async function readJson(files: CheckpointFiles, file: string): Promise<unknown> {
  const text = new TextDecoder().decode(await readFile(files, file));
  try {
    return JSON.parse(withoutBareInfinity(text));
  } catch (cause) {
    throw new CheckpointError(`${files.name}: ${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

/** Bare infinities as objects that say so, outside of strings. */
function withoutBareInfinity(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (found) =>
    found.startsWith('"') ? found : `{"__float__":"${found}"}`,
  );
}
