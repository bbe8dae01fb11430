import { quote, SafetensorsError, showShape } from './error';

/** Bytes per element of every dtype of the format. */
const BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
  U64: 8,
} as const;

/** A dtype's name in a safetensors header. */
export type SafetensorsDtype = keyof typeof BYTES;

/** Every dtype name, in no particular order. */
export const safetensorsDtypes: readonly SafetensorsDtype[] = Object.keys(BYTES) as SafetensorsDtype[];

export function isSafetensorsDtype(name: string): name is SafetensorsDtype {
  return Object.hasOwn(BYTES, name);
}

/** Bytes of one element. */
export function bytesPerElement(dtype: SafetensorsDtype): number {
  return BYTES[dtype];
}

/** More dimensions than any tensor library takes; bounds what a header can make a reader hold. */
export const MAX_RANK = 64;

/**
 * Bytes of a tensor of this shape. A product over 2^53 - 1 is refused even when another dimension is 0: no such shape
 * has usable strides, and the order of the dimensions must not decide.
 */
export function byteLengthOf(name: string, dtype: SafetensorsDtype, shape: readonly number[]): number {
  if (shape.length > MAX_RANK) {
    throw new SafetensorsError(
      'invalid-shape',
      `tensor ${quote(name)} has ${shape.length} dimensions, expected at most ${MAX_RANK}`,
    );
  }
  let nonZero: number = BYTES[dtype];
  let empty = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new SafetensorsError(
        'invalid-shape',
        `tensor ${quote(name)} has shape ${showShape(shape)}, expected integers from 0 to 2^53 - 1`,
      );
    }
    if (dim === 0) {
      empty = true;
      continue;
    }
    // Division first: the product itself would round once it passes 2^53.
    if (nonZero > Math.floor(Number.MAX_SAFE_INTEGER / dim)) {
      throw new SafetensorsError(
        'overflow',
        `tensor ${quote(name)} of shape ${showShape(shape)} and dtype ${dtype} has more than 2^53 - 1 bytes`,
      );
    }
    nonZero *= dim;
  }
  return empty ? 0 : nonZero;
}
