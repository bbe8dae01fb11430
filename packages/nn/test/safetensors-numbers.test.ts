import {
  elementsOf,
  type FloatDtype,
  type SafetensorsDtype,
  type SafetensorsTensor,
  tensorFromFloats,
  tensorFromIntegers,
  toFloat32,
  toFloat64,
  toInt32,
} from '@mamba-ts/nn/safetensors';
import { describe, expect, test } from 'vitest';
import { seededRandom } from './safetensors-files';

function stored(dtype: SafetensorsDtype, array: ArrayBufferView, shape: readonly number[]): SafetensorsTensor {
  return { dtype, shape, bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) };
}

/** The codes that `values` are rounded to. */
function codes(values: ArrayLike<number>, dtype: FloatDtype): number[] {
  return [...(elementsOf(tensorFromFloats(values, [values.length], dtype)) as Uint8Array | Uint16Array)];
}

const random = seededRandom(20260713);
/** Numbers of every exponent of float32, both signs, with full mantissas. */
const floats = Float32Array.from({ length: 20_000 }, () => {
  const word = Uint32Array.of(Math.floor(random() * 2 ** 32));
  return new Float32Array(word.buffer)[0]!;
}).filter((value) => !Number.isNaN(value));

/** Finite numbers of a format in order, from its decoder, and their codes. */
function finiteCodes(dtype: FloatDtype, bits: number): { code: number; value: number }[] {
  const count = { length: 2 ** bits };
  const all = bits === 16 ? Uint16Array.from(count, (_, i) => i) : Uint8Array.from(count, (_, i) => i);
  const values = toFloat64(stored(dtype, all, [all.length]));
  return [...values]
    .map((value, code) => ({ code, value }))
    .filter(({ value, code }) => Number.isFinite(value) && code < all.length / 2);
}

describe.each([
  ['F16', 16],
  ['BF16', 16],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
] as [FloatDtype, number][])('%s', (dtype, bits) => {
  const finite = finiteCodes(dtype, bits);

  test('each number is its own nearest, with either sign', () => {
    const values = finite.map(({ value }) => value);
    expect(codes(values, dtype)).toEqual(finite.map(({ code }) => code));
    expect(codes(values.map((value) => -value), dtype)).toEqual(finite.map(({ code }) => code + 2 ** (bits - 1)));
  });

  test('halfway between neighbours goes to the even code, and a hair off it to the nearer', () => {
    for (let i = 0; i + 1 < finite.length; i++) {
      const low = finite[i]!;
      const high = finite[i + 1]!;
      const middle = (low.value + high.value) / 2;
      const hair = (high.value - low.value) * 2 ** -20;
      const even = low.code % 2 === 0 ? low.code : high.code;
      expect(codes([middle, middle - hair, middle + hair], dtype), `${low.value}`).toEqual([even, low.code, high.code]);
    }
  });

  test('past the largest number, infinity or NaN; NaN stays NaN', () => {
    const largest = finite.at(-1)!;
    const step = largest.value - finite.at(-2)!.value;
    const values = [largest.value + step * 0.499, largest.value + step, 1e300, Infinity, -Infinity, NaN];
    const back = [...toFloat64(tensorFromFloats(values, [6], dtype))];
    const past = dtype === 'F8_E4M3' ? NaN : Infinity;
    expect(back).toEqual([largest.value, past, past, past, -past, NaN]);
  });
});

const hasFloat16 = 'Float16Array' in globalThis;
if (!hasFloat16) console.log('left out: F16 against Float16Array (this host has none)');

test.skipIf(!hasFloat16)('F16 agrees with the host’s Float16Array', () => {
  const doubles = Array.from({ length: 50_000 }, () => (random() - 0.5) * 2 ** Math.floor(random() * 48 - 28));
  for (const values of [floats, doubles]) {
    const expected = new Float16Array(values);
    expect(codes(values, 'F16')).toEqual([...new Uint16Array(expected.buffer)]);
  }
  const all = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  const decoded = toFloat32(stored('F16', all, [2 ** 16]));
  expect([...decoded]).toEqual([...new Float16Array(all.buffer)]);
});

test.each<FloatDtype>(['F16', 'BF16'])('%s from a Float32Array (by bits) equals that from numbers', (dtype) => {
  expect(codes(floats, dtype)).toEqual(codes([...floats], dtype));
  // Every code's number, the middle to the next one, and float32's neighbours of that middle.
  const values = finiteCodes(dtype, 16).map(({ value }) => value);
  const middles = values.slice(1).map((value, i) => (value + values[i]!) / 2);
  const words = [...new Uint32Array(Float32Array.from(middles).buffer)];
  const neighbours = words.flatMap((word) => [Math.max(word, 1) - 1, word, word + 1]);
  const near = new Float32Array(Uint32Array.from(neighbours).buffer);
  for (const list of [Float32Array.from(values), near, near.map((value) => -value)]) {
    expect(codes(list, dtype)).toEqual(codes([...list], dtype));
  }
});

test('BF16 and F16 of special float32 numbers', () => {
  const special = Float32Array.of(0, -0, NaN, Infinity, -Infinity, 3.4028234663852886e38, 1.401298464324817e-45);
  expect(codes(special, 'BF16')).toEqual([0, 0x8000, 0x7fc0, 0x7f80, 0xff80, 0x7f80, 0]);
  expect(codes(special, 'F16')).toEqual([0, 0x8000, 0x7e00, 0x7c00, 0xfc00, 0x7c00, 0]);
  const signalling = new Float32Array(Uint32Array.of(0x7f800001, 0xffffffff).buffer);
  expect([...toFloat64(tensorFromFloats(signalling, [2], 'BF16'))]).toEqual([NaN, NaN]);
  expect([...toFloat64(tensorFromFloats(signalling, [2], 'F16'))]).toEqual([NaN, NaN]);
});

test('known codes: 1, 1/3, 65504 + ulp/2, smallest subnormals', () => {
  expect(codes([1, 1 / 3, 65519, 65520, 2 ** -24, 2 ** -25, 2 ** -25 * 1.001], 'F16')).toEqual([
    0x3c00, 0x3555, 0x7bff, 0x7c00, 1, 0, 1,
  ]);
  expect(codes([1, 1 / 3, 1 + 2 ** -8, 1 + 3 * 2 ** -8], 'BF16')).toEqual([0x3f80, 0x3eab, 0x3f80, 0x3f82]);
  // One rounding, not two: by way of float32 this value would land on a tie and go down.
  expect(codes([1 + 2 ** -11 + 2 ** -40], 'F16')).toEqual([0x3c01]);
  expect(codes([448, 464, 465, 1.5], 'F8_E4M3')).toEqual([0x7e, 0x7e, 0x7f, 0x3c]);
  expect(codes([57344, 61439, 61440, 1.5], 'F8_E5M2')).toEqual([0x7b, 0x7b, 0x7c, 0x3e]);
});

describe('to float32, float64 and int32', () => {
  test('integers and booleans', () => {
    expect([...toFloat32(stored('I8', Int8Array.of(-128, 127), [2]))]).toEqual([-128, 127]);
    expect([...toFloat32(stored('U8', Uint8Array.of(255), [1]))]).toEqual([255]);
    expect([...toFloat32(stored('BOOL', Uint8Array.of(0, 1), [2]))]).toEqual([0, 1]);
    expect([...toFloat32(stored('I16', Int16Array.of(-5), [1]))]).toEqual([-5]);
    expect([...toFloat32(stored('U16', Uint16Array.of(65535), [1]))]).toEqual([65535]);
    expect([...toFloat64(stored('I32', Int32Array.of(-(2 ** 31)), [1]))]).toEqual([-(2 ** 31)]);
    expect([...toFloat64(stored('U32', Uint32Array.of(2 ** 32 - 1), [1]))]).toEqual([2 ** 32 - 1]);
    expect([...toFloat64(stored('I64', BigInt64Array.of(-7n), [1]))]).toEqual([-7]);
    expect([...toFloat64(stored('U64', BigUint64Array.of(2n ** 63n), [1]))]).toEqual([2 ** 63]);
  });

  test('64-bit integers are rounded once', () => {
    // 2^60 + 2^36 is halfway between two float32; one more decides, and float64 could not hold it.
    const tie = 2n ** 60n + 2n ** 36n;
    const values = BigInt64Array.of(tie, tie + 1n, -(tie + 1n), 3n);
    expect([...toFloat32(stored('I64', values, [4]))]).toEqual([2 ** 60, 2 ** 60 + 2 ** 37, -(2 ** 60 + 2 ** 37), 3]);
    const most = BigUint64Array.of(2n ** 64n - 1n);
    expect([...toFloat32(stored('U64', most, [1]))]).toEqual([2 ** 64]);
  });

  test('F64 to float32 rounds to nearest even; F32 and F64 of their own kind are views', () => {
    const doubles = Float64Array.of(1 + 2 ** -24, 1 + 3 * 2 ** -24, 1e300, NaN);
    expect([...toFloat32(stored('F64', doubles, [4]))]).toEqual([1, 1 + 2 ** -22, Infinity, NaN]);
    expect(toFloat64(stored('F64', doubles, [4])).buffer).toBe(doubles.buffer);
    const single = Float32Array.of(1, 2);
    expect(toFloat32(stored('F32', single, [2])).buffer).toBe(single.buffer);
    expect([...toFloat64(stored('F32', single, [2]))]).toEqual([1, 2]);
    expect(tensorFromFloats(single, [2]).bytes.buffer).toBe(single.buffer);
  });

  test('int32 takes integers of any dtype that fit, and nothing else', () => {
    expect([...toInt32(tensorFromIntegers([-(2 ** 31), 2 ** 31 - 1], [2], 'I64'))]).toEqual([-(2 ** 31), 2 ** 31 - 1]);
    expect([...toInt32(tensorFromFloats([1, -0, 3], [3], 'BF16'))]).toEqual([1, 0, 3]);
    for (const bad of [2 ** 31, 0.5, NaN, Infinity]) {
      expect(() => toInt32(tensorFromFloats([0, bad], [2], 'F64'))).toThrow(
        expect.objectContaining({ code: 'out-of-range', message: expect.stringContaining('element 1') }),
      );
    }
    expect(() => toInt32(stored('I64', BigInt64Array.of(2n ** 32n), [1]))).toThrow('4294967296');
    expect(() => toInt32(stored('U64', BigUint64Array.of(2n ** 63n + 1n), [1]))).toThrow('9223372036854775809');
  });

  test('wrong counts and values that do not fit are named', () => {
    expect(() => tensorFromFloats([1, 2], [3])).toThrow('shape (3) needs 3 values, got 2');
    expect(() => tensorFromIntegers([1, 2], [3])).toThrow('shape (3) needs 3 values, got 2');
    expect(() => tensorFromIntegers([1.5], [1])).toThrow('value 0 is 1.5, expected an integer of I32');
    expect(() => tensorFromIntegers([2 ** 53], [1], 'I64')).toThrow('expected an integer of I64');
    expect(() => elementsOf({ dtype: 'F32', shape: [2], bytes: new Uint8Array(7) })).toThrow('has 7 bytes, expected 8');
  });
});
