import { byteLengthOf, isSafetensorsDtype, MAX_RANK, type SafetensorsDtype } from './dtype';
import { quote, SafetensorsError } from './error';
import { JsonReader } from './json';

/** What the header says about one tensor. Offsets count from the start of the file. */
export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** First byte in the file. */
  readonly begin: number;
  /** One past the last byte in the file. */
  readonly end: number;
}

/** The header of a safetensors file, checked. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the order of the header. Maps, not objects, so that a tensor may be named `__proto__`. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** What a reader is willing to hold. */
export interface SafetensorsLimits {
  /** Largest header in bytes; the format's own limit is the default, 100,000,000. */
  readonly maxHeaderBytes?: number;
  /** Most tensors in one file; default 1,000,000. */
  readonly maxTensors?: number;
}

export const MAX_HEADER_BYTES = 100_000_000;
export const MAX_TENSORS = 1_000_000;

/** Bytes of the header's length field. */
export const LENGTH_BYTES = 8;

export const METADATA_KEY = '__metadata__';

/**
 * The header's byte length, from the first eight bytes of a file of `fileSize` bytes.
 *
 * @throws SafetensorsError when the length is under 2, over the limit, or over what the file holds.
 */
export function readHeaderLength(prefix: Uint8Array, fileSize: number, limits: SafetensorsLimits = {}): number {
  if (prefix.length < LENGTH_BYTES) {
    throw new SafetensorsError('truncated', `file has ${fileSize} bytes, expected at least ${LENGTH_BYTES}`);
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const low = view.getUint32(0, true);
  const high = view.getUint32(4, true);
  const length = high * 2 ** 32 + low;
  const limit = limits.maxHeaderBytes ?? MAX_HEADER_BYTES;
  if (length > limit) {
    throw new SafetensorsError('limit', `header length is ${length} bytes, expected at most ${limit}`);
  }
  if (length < 2) {
    throw new SafetensorsError('invalid-header', `header length is ${length} bytes, expected at least 2`);
  }
  if (LENGTH_BYTES + length > fileSize) {
    throw new SafetensorsError(
      'truncated',
      `header ends at byte ${LENGTH_BYTES + length}, expected at most the file's ${fileSize}`,
    );
  }
  return length;
}

/**
 * Parses the header's JSON and checks it against the file: every tensor's bytes are inside, as many as its shape needs,
 * and together they cover the rest of the file once, without holes.
 *
 * @param json the header's bytes, without the length field.
 * @param fileSize bytes of the whole file.
 */
export function parseHeader(json: Uint8Array, fileSize: number, limits: SafetensorsLimits = {}): SafetensorsHeader {
  if (json[0] !== 0x7b) {
    throw new SafetensorsError('invalid-header', `header starts with byte ${json[0]}, expected '{'`);
  }
  const maxTensors = limits.maxTensors ?? MAX_TENSORS;
  const dataStart = LENGTH_BYTES + json.length;
  const dataSize = fileSize - dataStart;
  const reader = new JsonReader(json, 'header');
  const metadata = new Map<string, string>();
  const tensors = new Map<string, TensorEntry>();
  reader.readObject('the header', (name) => {
    if (name === METADATA_KEY) {
      reader.readObject(METADATA_KEY, (key) => metadata.set(key, reader.readString(`a value of ${METADATA_KEY}`)));
      return;
    }
    if (tensors.size >= maxTensors) {
      throw new SafetensorsError('limit', `header lists more than ${maxTensors} tensors`);
    }
    tensors.set(name, readEntry(reader, name, dataStart, dataSize));
  });
  reader.end();
  checkLayout(tensors, dataStart, fileSize);
  return { metadata, tensors };
}

function readEntry(reader: JsonReader, name: string, dataStart: number, dataSize: number): TensorEntry {
  const where = `tensor ${quote(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.readObject(where, (key) => {
    if (key === 'dtype') dtype = reader.readString(`dtype of ${where}`);
    else if (key === 'shape') shape = readIntegers(reader, `shape of ${where}`, MAX_RANK);
    else if (key === 'data_offsets') offsets = readIntegers(reader, `data_offsets of ${where}`, 2);
    // Like the format's own reader, let newer writers add fields.
    else reader.skipValue(`a field of ${where}`);
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    const missing = dtype === undefined ? 'dtype' : shape === undefined ? 'shape' : 'data_offsets';
    throw new SafetensorsError('invalid-json', `${where} has no ${missing}`);
  }
  if (!isSafetensorsDtype(dtype)) {
    throw new SafetensorsError('unknown-dtype', `${where} has dtype ${quote(dtype)}, which is not known`);
  }
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || begin > end || end > dataSize) {
    throw new SafetensorsError(
      'invalid-offsets',
      `${where} has data_offsets [${offsets.join(', ')}], expected two ordered offsets up to ${dataSize}`,
    );
  }
  const expected = byteLengthOf(name, dtype, shape);
  if (end - begin !== expected) {
    throw new SafetensorsError(
      'size-mismatch',
      `${where} of shape (${shape.join(', ')}) and dtype ${dtype} needs ${expected} bytes, ` +
        `its data_offsets [${begin}, ${end}] hold ${end - begin}`,
    );
  }
  return { dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

function readIntegers(reader: JsonReader, where: string, most: number): number[] {
  const values: number[] = [];
  reader.readArray(where, () => {
    if (values.length === most) {
      throw new SafetensorsError('invalid-json', `${where} has more than ${most} elements`);
    }
    values.push(reader.readNonNegativeInteger(where));
  });
  return values;
}

function checkLayout(tensors: ReadonlyMap<string, TensorEntry>, dataStart: number, fileSize: number): void {
  const byOffset = [...tensors].toSorted(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = dataStart;
  for (const [name, entry] of byOffset) {
    if (entry.begin !== at) {
      const [code, problem] = entry.begin < at ? (['overlap', 'overlaps'] as const) : (['hole', 'is behind'] as const);
      throw new SafetensorsError(
        code,
        `tensor ${quote(name)} begins at data offset ${entry.begin - dataStart} and ${problem} ` +
          `${entry.begin < at ? 'the tensor before it' : 'a hole'}, expected ${at - dataStart}`,
      );
    }
    at = entry.end;
  }
  if (at !== fileSize) {
    throw new SafetensorsError(
      'hole',
      `the last tensor ends at data offset ${at - dataStart}, expected the end of the file, ${fileSize - dataStart}`,
    );
  }
}
