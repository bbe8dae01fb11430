import { bytesSource, type SafetensorsReader, type SafetensorsTensor } from '@mamba-ts/nn/safetensors';
import { openTorchFile, streamTorchFile, type TorchFileLimits } from '@mamba-ts/nn/torch';
import { ZipWriter } from '../src/torch/zip/writer';

/** A stream's pieces as one array. */
export async function collect(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return join(parts);
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** An archive of these entries, as they are. */
export function archive(entries: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const zip = new ZipWriter();
  const parts = Object.entries(entries).flatMap(([name, content]) => [...zip.entry(name, content)]);
  return join([...parts, ...zip.end()]);
}

export function written(tensors: ReadonlyMap<string, SafetensorsTensor>): Promise<Uint8Array> {
  return collect(streamTorchFile(tensors));
}

export function opened(bytes: Uint8Array, limits?: TorchFileLimits): Promise<SafetensorsReader> {
  return openTorchFile(bytesSource(bytes), limits);
}

/** Instructions of a pickle, to write ones that `torch.save` would not. */
export const pickle = {
  start: Uint8Array.of(0x80, 2) as Uint8Array,
  stop: Uint8Array.of(0x2e) as Uint8Array,
  mark: Uint8Array.of(0x28) as Uint8Array,
  tuple: Uint8Array.of(0x74) as Uint8Array,
  reduce: Uint8Array.of(0x52) as Uint8Array,
  none: Uint8Array.of(0x4e) as Uint8Array,
  dict: Uint8Array.of(0x7d) as Uint8Array,
  setItems: Uint8Array.of(0x75) as Uint8Array,
  persistent: Uint8Array.of(0x51) as Uint8Array,
  text(value: string): Uint8Array {
    const utf8 = ascii(value);
    return join([Uint8Array.of(0x58, utf8.length, 0, 0, 0), utf8]);
  },
  global: (module: string, name: string): Uint8Array => ascii(`c${module}\n${name}\n`),
  /** 0 to 2^31 − 1 */
  int: (value: number): Uint8Array => Uint8Array.of(0x4a, value, value >> 8, value >> 16, value >> 24),
  ints: (...values: number[]): Uint8Array => join([pickle.mark, ...values.map((v) => pickle.int(v)), pickle.tuple]),
  storage(type: string, key: string, length: number): Uint8Array {
    const fields = [pickle.text('storage'), pickle.global('torch', type), pickle.text(key), pickle.text('cpu')];
    return join([pickle.mark, ...fields, pickle.int(length), pickle.tuple, pickle.persistent]);
  },
  /** `_rebuild_tensor_v2(storage, offset, shape, strides, False, None)` */
  tensor(storage: Uint8Array, offset: number, shape: number[], strides: number[]): Uint8Array {
    const args = [storage, pickle.int(offset), pickle.ints(...shape), pickle.ints(...strides)];
    const rest = [Uint8Array.of(0x89), pickle.none, pickle.tuple, pickle.reduce];
    return join([pickle.global('torch._utils', '_rebuild_tensor_v2'), pickle.mark, ...args, ...rest]);
  },
  /** A whole pickle: a dict of these. */
  of(items: Readonly<Record<string, Uint8Array>>): Uint8Array {
    const pairs = Object.entries(items).flatMap(([name, value]) => [pickle.text(name), value]);
    return join([pickle.start, pickle.dict, pickle.mark, ...pairs, pickle.setItems, pickle.stop]);
  },
};

/** A file with this pickle and these storages. */
export function file(data: Uint8Array, storages: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  const entries = Object.entries(storages).map(([key, bytes]) => [`model/data/${key}`, bytes]);
  return archive({ 'model/data.pkl': data, ...Object.fromEntries(entries), 'model/version': ascii('3\n') });
}
