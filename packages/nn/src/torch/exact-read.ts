import type { RandomAccessSource } from '../safetensors/source';
import { TorchFileError } from './error';

/** Exactly `length` bytes from `offset`, which the caller has checked against the source's size. */
export async function readExactly(source: RandomAccessSource, offset: number, length: number): Promise<Uint8Array> {
  if (length === 0) return new Uint8Array(0);
  const bytes = await source.read(offset, length);
  if (bytes.length !== length) {
    throw new TorchFileError(
      'truncated',
      `source returned ${bytes.length} bytes from offset ${offset}, expected ${length}`,
    );
  }
  return bytes;
}
