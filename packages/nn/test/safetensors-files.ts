import type { SafetensorsTensor } from '@mamba-ts/nn/safetensors';

/** A file from a header's text and its data, with no check at all, so that tests can write wrong files. */
export function rawFile(header: string, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

/** A tensor of bytes 0, 1, 2, ... that takes its size from its dtype and shape. */
export function counting(
  dtype: SafetensorsTensor['dtype'],
  shape: readonly number[],
  elementBytes: number,
): SafetensorsTensor {
  const count = shape.reduce((product, dim) => product * dim, elementBytes);
  return { dtype, shape, bytes: Uint8Array.from({ length: count }, (_, i) => i % 251) };
}

/** mulberry32: a small seeded generator of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
