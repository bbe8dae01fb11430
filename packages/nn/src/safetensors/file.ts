import type { SafetensorsDtype } from './dtype';
import { SafetensorsError } from './error';
import { LENGTH_BYTES, parseHeader, readHeaderLength, type SafetensorsLimits } from './header';

/** One tensor of a file: its bytes little-endian, row-major, as stored. */
export interface SafetensorsTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A whole file in memory. */
export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/**
 * Reads a file that is in memory already. The tensors' bytes are views of `file`, not copies: they keep it alive, and
 * writing into one writes into the other.
 *
 * @throws SafetensorsError when the file is not a well-formed safetensors file.
 */
export function readSafetensors(file: Uint8Array | ArrayBuffer, limits: SafetensorsLimits = {}): SafetensorsFile {
  if (!(file instanceof Uint8Array) && !(file instanceof ArrayBuffer)) {
    throw new SafetensorsError('invalid-argument', `file is a ${typeof file}, expected a Uint8Array or an ArrayBuffer`);
  }
  const bytes = file instanceof Uint8Array ? file : new Uint8Array(file);
  const length = readHeaderLength(bytes.subarray(0, LENGTH_BYTES), bytes.length, limits);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length), bytes.length, limits);
  const tensors = new Map<string, SafetensorsTensor>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(begin, end) });
  }
  return { metadata: header.metadata, tensors };
}
