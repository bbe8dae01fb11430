import { bytesPerElement } from '../safetensors/dtype';
import { quote, showShape } from '../safetensors/error';
import type { SafetensorsReader } from '../safetensors/reader';
import type { RandomAccessSource } from '../safetensors/source';
import { TorchFileError } from './error';
import { readExactly } from './exact-read';
import { extentOf, gatherView } from './gather-view';
import { defaultLimits, type TorchFileLimits } from './limits';
import { runPickle } from './pickle/machine';
import type { TensorView } from './pickle/values';
import { tensorsOf } from './state-dict';
import { contentOffset, readZipDirectory, type ZipDirectory, type ZipEntry } from './zip/directory';

const PICKLE = 'data.pkl';

/**
 * Opens a file of `torch.save` (PyTorch 1.6 and later: a zip archive with a pickle and the tensors' memory): what it
 * lists now, tensors one by one when they are asked for, each only the bytes that it needs. The reader is that of
 * safetensors, so `readStateDict` takes either.
 *
 * The pickle is read by a closed list of instructions and names, and nothing in it is ever executed. Strides, offsets
 * and shared storages are followed; check sums are not looked at, since PyTorch can be told to write none.
 *
 *     const file = await openTorchFile(await fileSource('pytorch_model.bin'));
 *
 * @throws TorchFileError when the file is none, asks for anything that a state dict does not need, or for too much
 */
export async function openTorchFile(
  source: RandomAccessSource,
  limits: TorchFileLimits = {},
): Promise<SafetensorsReader> {
  const { size } = source;
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new TorchFileError('invalid-argument', `source.size is ${String(size)}, expected a number of bytes`);
  }
  const { maxPickleBytes, maxTensors, maxExpandedBytes } = { ...defaultLimits, ...limits };
  const directory = await readZipDirectory(source, maxTensors + 16);
  const root = rootOf(directory);
  const content = async (name: string, most: number): Promise<Uint8Array | null> => {
    const entry = directory.entries.get(root + name);
    if (entry === undefined) return null;
    if (entry.size > most) throw tooLarge(entry, most);
    return readExactly(source, await contentOffset(source, directory, entry), entry.size);
  };
  await checkByteOrder(content);
  const pickle = await content(PICKLE, maxPickleBytes);
  const tensors = tensorsOf(runPickle(pickle!), maxTensors);
  for (const [name, view] of tensors) checkTensor(name, view, directory, root, maxExpandedBytes);
  return {
    metadata: new Map(),
    entries: tensors,
    async read(name) {
      const view = tensors.get(name);
      if (view === undefined) {
        throw new TorchFileError('missing-tensor', `no tensor ${quote(name)} among the ${tensors.size} of the file`);
      }
      const { dtype, shape } = view;
      const width = bytesPerElement(dtype);
      const { begin, end, count, contiguous } = extentOf(view);
      if (count === 0) return { dtype, shape, bytes: new Uint8Array(0) };
      const start = await contentOffset(source, directory, storageEntry(directory, root, view));
      const bytes = await readExactly(source, start + begin * width, (end - begin) * width);
      return { dtype, shape, bytes: contiguous ? bytes : gatherView(view, bytes, count) };
    },
    async close() {
      await source.close?.();
    },
  };
}

/** The archive's one folder, with its slash. */
function rootOf({ entries }: ZipDirectory): string {
  const pickles = [...entries.keys()].filter((name) => name.endsWith(`/${PICKLE}`) && name.split('/').length === 2);
  if (pickles.length !== 1) {
    throw new TorchFileError('missing-entry', `archive has ${pickles.length} entries FOLDER/${PICKLE}, expected one`);
  }
  return pickles[0]!.slice(0, -PICKLE.length);
}

async function checkByteOrder(content: (name: string, most: number) => Promise<Uint8Array | null>): Promise<void> {
  const order = await content('byteorder', 16);
  const text = order && new TextDecoder().decode(order);
  if (text !== null && text !== 'little') {
    throw new TorchFileError('big-endian', `byteorder is ${quote(text)}, expected "little"`);
  }
}

/** What does not need the tensor's bytes: its storage is there and large enough, and it is not blown up by its strides. */
function checkTensor(
  name: string,
  view: TensorView,
  directory: ZipDirectory,
  root: string,
  maxExpandedBytes: number,
): void {
  const { storage, dtype, shape } = view;
  const entry = storageEntry(directory, root, view);
  const width = bytesPerElement(storage.dtype ?? 'U8');
  if (entry.size !== storage.length * width) {
    throw new TorchFileError(
      'invalid-tensor',
      `storage ${quote(storage.key)} of tensor ${quote(name)} has ${entry.size} bytes, expected ${storage.length * width}`,
    );
  }
  const { begin, end, count } = extentOf(view);
  const bytes = count * bytesPerElement(dtype);
  if (count > end - begin && bytes > maxExpandedBytes) {
    throw new TorchFileError(
      'limit',
      `tensor ${quote(name)} of shape ${showShape(shape)} repeats ${end - begin} elements to ${bytes} bytes, ` +
        `expected at most ${maxExpandedBytes}`,
    );
  }
}

function storageEntry({ entries }: ZipDirectory, root: string, { storage }: TensorView): ZipEntry {
  const name = `${root}data/${storage.key}`;
  const entry = entries.get(name);
  if (entry === undefined) {
    throw new TorchFileError('missing-entry', `archive has no entry ${quote(name)}, which a tensor lies in`);
  }
  return entry;
}

function tooLarge({ name, size }: ZipEntry, most: number): TorchFileError {
  return new TorchFileError('limit', `entry ${quote(name)} has ${size} bytes, expected at most ${most}`);
}
