import { byteLengthOf, bytesPerElement, isSafetensorsDtype, type SafetensorsDtype } from './dtype';
import { quote, SafetensorsError, showShape } from './error';
import type { SafetensorsTensor } from './file';
import { LENGTH_BYTES, MAX_HEADER_BYTES, METADATA_KEY } from './header';

/** A tensor whose bytes are made when their turn comes, and may be freed after. */
export interface DeferredTensor {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
}

/** Free text beside the tensors: an object or a map of strings. */
export type SafetensorsMetadata = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

interface Planned<T> {
  readonly name: string;
  readonly tensor: T;
  readonly byteLength: number;
}

/**
 * The bytes of a safetensors file. The same tensors give the same bytes whatever their order in the map: wide dtypes
 * first, so that every tensor is aligned to its element size, then by name.
 *
 * @throws SafetensorsError when a tensor's bytes do not fit its shape, or a name or a metadata value cannot be stored.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: SafetensorsMetadata = {},
): Uint8Array {
  const plan = order(tensors);
  for (const { name, tensor, byteLength } of plan) checkLength(name, tensor, tensor.bytes, byteLength);
  const header = encodeHeader(plan, metadata);
  const out = new Uint8Array(plan.reduce((sum, { byteLength }) => sum + byteLength, header.length));
  out.set(header);
  let at = header.length;
  for (const { tensor, byteLength } of plan) {
    out.set(tensor.bytes, at);
    at += byteLength;
  }
  return out;
}

/**
 * The same file in pieces: the header, then each tensor's bytes, asked for one at a time, so that writing a model needs
 * memory for its largest tensor only. Node's `writeFile` and a `WritableStream`'s pipe take it as it is.
 */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor | DeferredTensor>,
  metadata: SafetensorsMetadata = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const plan = order(tensors);
  yield encodeHeader(plan, metadata);
  for (const { name, tensor, byteLength } of plan) {
    const bytes = typeof tensor.bytes === 'function' ? await tensor.bytes() : tensor.bytes;
    checkLength(name, tensor, bytes, byteLength);
    if (byteLength > 0) yield bytes;
  }
}

function order<T extends { dtype: SafetensorsDtype; shape: readonly number[] }>(
  tensors: ReadonlyMap<string, T>,
): Planned<T>[] {
  const plan: Planned<T>[] = [];
  for (const [name, tensor] of tensors) {
    if (name === METADATA_KEY) {
      throw new SafetensorsError('invalid-argument', `a tensor is named ${METADATA_KEY}, which the format keeps`);
    }
    checkText(name, 'tensor name');
    if (!isSafetensorsDtype(tensor.dtype)) {
      throw new SafetensorsError('unknown-dtype', `tensor ${quote(name)} has dtype ${quote(String(tensor.dtype))}`);
    }
    plan.push({ name, tensor, byteLength: byteLengthOf(name, tensor.dtype, tensor.shape) });
  }
  return plan.toSorted(
    (a, b) =>
      bytesPerElement(b.tensor.dtype) - bytesPerElement(a.tensor.dtype) || compareCodePoints(a.name, b.name),
  );
}

function encodeHeader(
  plan: readonly Planned<{ dtype: SafetensorsDtype; shape: readonly number[] }>[],
  metadata: SafetensorsMetadata,
): Uint8Array {
  const fields: string[] = [];
  const pairs: [string, unknown][] = isMap(metadata) ? [...metadata] : Object.entries(metadata);
  if (pairs.length > 0) {
    pairs.sort(([a], [b]) => compareCodePoints(a, b));
    const inner = pairs.map(([key, value]) => {
      if (typeof value !== 'string') {
        const got = `metadata ${quote(key)} is a ${typeof value}`;
        throw new SafetensorsError('invalid-argument', `${got}, expected a string`);
      }
      checkText(key, 'metadata key');
      checkText(value, `metadata ${quote(key)}`);
      return `${JSON.stringify(key)}:${JSON.stringify(value)}`;
    });
    fields.push(`"${METADATA_KEY}":{${inner.join(',')}}`);
  }
  let at = 0;
  for (const { name, tensor, byteLength } of plan) {
    const { dtype, shape } = tensor;
    const offsets = `[${at},${at + byteLength}]`;
    fields.push(`${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${offsets}}`);
    at += byteLength;
  }
  if (at > Number.MAX_SAFE_INTEGER) throw new SafetensorsError('overflow', 'the tensors have more than 2^53 - 1 bytes');
  const json = new TextEncoder().encode(`{${fields.join(',')}}`);
  const padded = Math.ceil(json.length / 8) * 8;
  if (padded > MAX_HEADER_BYTES) {
    throw new SafetensorsError('limit', `header has ${padded} bytes, expected at most ${MAX_HEADER_BYTES}`);
  }
  const header = new Uint8Array(LENGTH_BYTES + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

function isMap(metadata: SafetensorsMetadata): metadata is ReadonlyMap<string, string> {
  return metadata instanceof Map;
}

function checkLength(name: string, tensor: { shape: readonly number[] }, bytes: Uint8Array, expected: number): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new SafetensorsError('invalid-argument', `bytes of tensor ${quote(name)} are no Uint8Array`);
  }
  if (bytes.length !== expected) {
    throw new SafetensorsError(
      'size-mismatch',
      `tensor ${quote(name)} of shape ${showShape(tensor.shape)} has ${bytes.length} bytes, expected ${expected}`,
    );
  }
}

function checkText(text: string, what: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw new SafetensorsError('invalid-argument', `${what} ${quote(text)} has an unpaired surrogate`);
  }
}

/** The order of UTF-8 bytes, which is that of code points; `<` on strings would sort by UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) {
      const surrogates = (x >= 0xd800 && x < 0xe000 ? 1 : 0) - (y >= 0xd800 && y < 0xe000 ? 1 : 0);
      return surrogates === 0 ? x - y : surrogates;
    }
  }
  return a.length - b.length;
}
