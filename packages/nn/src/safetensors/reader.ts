import { SafetensorsError, quote } from './error';
import type { SafetensorsTensor } from './file';
import { LENGTH_BYTES, parseHeader, readHeaderLength, type SafetensorsLimits, type TensorEntry } from './header';
import { type RandomAccessSource } from './source';

/** Tensors that are read when asked for: one file, or the shards of one checkpoint. */
export interface SafetensorsReader {
  readonly metadata: ReadonlyMap<string, string>;
  /** Every tensor's dtype and shape, known before any of its bytes is read. */
  readonly entries: ReadonlyMap<string, Pick<TensorEntry, 'dtype' | 'shape'>>;
  /**
   * Reads one tensor: its bytes once, nothing else.
   *
   * @throws SafetensorsError `missing-tensor`, or `truncated` when the source returned fewer bytes.
   */
  read(name: string): Promise<SafetensorsTensor>;
  close(): Promise<void>;
}

/**
 * Reads a file's header, and its tensors later, one by one, so that loading a model holds the model once and not the
 * file beside it.
 *
 * @throws SafetensorsError when the header is not well-formed or does not fit the source's size.
 */
export async function openSafetensors(
  source: RandomAccessSource,
  limits: SafetensorsLimits = {},
): Promise<SafetensorsReader> {
  const { size } = source;
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new SafetensorsError('invalid-argument', `source.size is ${String(size)}, expected a number of bytes`);
  }
  const prefix = await readExactly(source, 0, Math.min(LENGTH_BYTES, size));
  const length = readHeaderLength(prefix, size, limits);
  const { metadata, tensors } = parseHeader(await readExactly(source, LENGTH_BYTES, length), size, limits);
  return {
    metadata,
    entries: tensors,
    async read(name) {
      const entry = tensors.get(name);
      if (entry === undefined) throw missingTensor(name, tensors.size);
      const { dtype, shape, begin, end } = entry;
      return { dtype, shape, bytes: await readExactly(source, begin, end - begin) };
    },
    async close() {
      await source.close?.();
    },
  };
}

function missingTensor(name: string, count: number): SafetensorsError {
  return new SafetensorsError('missing-tensor', `no tensor ${quote(name)} among the ${count} of the file`);
}

async function readExactly(source: RandomAccessSource, offset: number, length: number): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  const bytes = await source.read(offset, length);
  if (bytes.length !== length) {
    throw new SafetensorsError(
      'truncated',
      `source returned ${bytes.length} bytes from offset ${offset}, expected ${length}`,
    );
  }
  return bytes;
}
