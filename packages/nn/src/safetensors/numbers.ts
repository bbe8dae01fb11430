import { byteLengthOf, bytesPerElement, type SafetensorsDtype } from './dtype';
import { SafetensorsError, showShape } from './error';
import type { SafetensorsTensor } from './file';
import { bfloat16Codes, decodingTable, encodeSmallFloat, float16Codes, smallFloats } from './small-float';

/** The typed array that holds a dtype's elements; F16 and BF16 as their 16 bits, BOOL and F8 as bytes. */
export type SafetensorsArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

type ArrayOn = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => SafetensorsArray;

const ARRAYS: Readonly<Record<SafetensorsDtype, ArrayOn>> = {
  BOOL: Uint8Array,
  U8: Uint8Array,
  I8: Int8Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  I16: Int16Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U64: BigUint64Array,
};

/**
 * The tensor's elements as a typed array, in row-major order: a view of its bytes where they are aligned, a copy where
 * they are not (a file in memory may begin at any address). Do not write into it.
 */
export function elementsOf(tensor: SafetensorsTensor): SafetensorsArray {
  const { bytes, dtype, shape } = tensor;
  const size = bytesPerElement(dtype);
  const expected = byteLengthOf('', dtype, shape);
  if (bytes.length !== expected) {
    throw new SafetensorsError(
      'size-mismatch',
      `tensor of shape ${showShape(shape)} and dtype ${dtype} has ${bytes.length} bytes, expected ${expected}`,
    );
  }
  if (size > 1 && new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
    throw new SafetensorsError('unsupported-host', 'this host keeps numbers big-endian, which is not supported');
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new ARRAYS[dtype](aligned.buffer, aligned.byteOffset, aligned.length / size);
}

/**
 * The elements as float32, from any dtype. F32 gives a view where it is aligned (see `elementsOf`), others a new array;
 * F64 and integers over 2^24 are rounded to nearest, ties to even.
 */
export function toFloat32(tensor: SafetensorsTensor): Float32Array {
  const elements = elementsOf(tensor);
  if (elements instanceof Float32Array) return elements;
  const table = tableOf(tensor.dtype);
  const out = new Float32Array(elements.length);
  if (table !== undefined) {
    const codes = elements as Uint8Array | Uint16Array;
    for (let i = 0; i < out.length; i++) out[i] = table[codes[i]!]!;
  } else if (elements instanceof BigInt64Array || elements instanceof BigUint64Array) {
    // Through float64 a 64-bit integer could be rounded twice.
    for (let i = 0; i < out.length; i++) out[i] = floatFromBigInt(elements[i]!, 24);
  } else {
    out.set(elements);
  }
  return out;
}

/** The elements as float64, from any dtype; F64 gives a view where it is aligned. */
export function toFloat64(tensor: SafetensorsTensor): Float64Array {
  const elements = elementsOf(tensor);
  if (elements instanceof Float64Array) return elements;
  const table = tableOf(tensor.dtype);
  const out = new Float64Array(elements.length);
  if (table !== undefined) {
    const codes = elements as Uint8Array | Uint16Array;
    for (let i = 0; i < out.length; i++) out[i] = table[codes[i]!]!;
  } else if (elements instanceof BigInt64Array || elements instanceof BigUint64Array) {
    for (let i = 0; i < out.length; i++) out[i] = Number(elements[i]!);
  } else {
    out.set(elements);
  }
  return out;
}

/**
 * The elements as int32: token ids, labels.
 *
 * @throws SafetensorsError `out-of-range` when an element is no integer of int32.
 */
export function toInt32(tensor: SafetensorsTensor): Int32Array {
  const elements = elementsOf(tensor);
  if (elements instanceof Int32Array) return elements;
  const wide = tableOf(tensor.dtype) === undefined ? elements : toFloat64(tensor);
  const out = new Int32Array(wide.length);
  for (let i = 0; i < out.length; i++) {
    const value = Number(wide[i]!);
    if (value !== (value | 0)) {
      throw new SafetensorsError('out-of-range', `element ${i} is ${String(wide[i])}, expected an integer of int32`);
    }
    out[i] = value;
  }
  return out;
}

/** Dtypes that numbers can be rounded to. */
export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2';

/**
 * A tensor of floating-point numbers for the writer, each value rounded once, to nearest, ties to even. F32 from a
 * Float32Array and F64 from a Float64Array share the array's memory.
 *
 * @throws SafetensorsError `size-mismatch` when the shape needs another number of values.
 */
export function tensorFromFloats(
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: FloatDtype = 'F32',
): SafetensorsTensor {
  const count = byteLengthOf('', dtype, shape) / bytesPerElement(dtype);
  if (values.length !== count) {
    throw new SafetensorsError(
      'size-mismatch',
      `shape ${showShape(shape)} needs ${count} values, got ${values.length}`,
    );
  }
  return { dtype, shape: [...shape], bytes: bytesOf(roundTo(values, dtype)) };
}

/** A tensor of whole numbers for the writer: I32, or I64 as PyTorch keeps token ids. */
export function tensorFromIntegers(
  values: ArrayLike<number>,
  shape: readonly number[],
  dtype: 'I32' | 'I64' = 'I32',
): SafetensorsTensor {
  const count = byteLengthOf('', dtype, shape) / bytesPerElement(dtype);
  if (values.length !== count) {
    throw new SafetensorsError(
      'size-mismatch',
      `shape ${showShape(shape)} needs ${count} values, got ${values.length}`,
    );
  }
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (dtype === 'I32' ? value !== (value | 0) : !Number.isSafeInteger(value)) {
      throw new SafetensorsError('out-of-range', `value ${i} is ${value}, expected an integer of ${dtype}`);
    }
  }
  const out = dtype === 'I32' ? Int32Array.from(values) : BigInt64Array.from(values, (value) => BigInt(value));
  return { dtype, shape: [...shape], bytes: bytesOf(out) };
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function tableOf(dtype: SafetensorsDtype): Float32Array | undefined {
  return dtype === 'F16' || dtype === 'BF16' || dtype === 'F8_E4M3' || dtype === 'F8_E5M2'
    ? decodingTable(smallFloats[dtype])
    : undefined;
}

function roundTo(values: ArrayLike<number>, dtype: FloatDtype): ArrayBufferView {
  if (dtype === 'F32') return values instanceof Float32Array ? values : Float32Array.from(values);
  if (dtype === 'F64') return values instanceof Float64Array ? values : Float64Array.from(values);
  if (dtype === 'BF16' && values instanceof Float32Array) return bfloat16Codes(values);
  if (dtype === 'F16' && values instanceof Float32Array) return float16Codes(values);
  const format = smallFloats[dtype];
  const out = format.bits === 16 ? new Uint16Array(values.length) : new Uint8Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = encodeSmallFloat(values[i]!, format);
  return out;
}

/** A 64-bit integer rounded to `bits` significant bits, ties to even. */
function floatFromBigInt(value: bigint, bits: number): number {
  const magnitude = value < 0n ? -value : value;
  if (magnitude < 2n ** 53n) return Math.fround(Number(value));
  const drop = BigInt(magnitude.toString(2).length - bits);
  const half = 1n << (drop - 1n);
  const rest = magnitude & ((1n << drop) - 1n);
  let kept = magnitude >> drop;
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept++;
  return (value < 0n ? -1 : 1) * Number(kept) * 2 ** Number(drop);
}
