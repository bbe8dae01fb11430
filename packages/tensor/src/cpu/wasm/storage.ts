import type { ComputeType, DType } from '../../dtype';
import type { V128 } from './expression';
import type { FunctionBuilder } from './function';
import { f32x4, i32, i32x4, v128 } from './operators';

/**
 * Conversions between storage and registers. In registers float32 and int32 are as in memory, bool is a lane mask (0 or
 * all ones), and the halves are float32. Raw halves stand in the low 16 bits of each 32-bit lane.
 */

/** Raw lanes as loaded → register form. */
export function decode(fn: FunctionBuilder, dtype: DType, raw: V128): V128 {
  switch (dtype) {
    case 'float32':
    case 'int32':
      return raw;
    case 'bool':
      return fn.let(i32x4.ne(raw, fn.int(0)));
    case 'bfloat16':
      return fn.let(i32x4.shl(raw, i32.const(16)));
    case 'float16':
      return decodeFloat16(fn, raw);
  }
}

/** Register form → raw lanes to store. */
export function encode(fn: FunctionBuilder, dtype: DType, value: V128): V128 {
  switch (dtype) {
    case 'float32':
    case 'int32':
      return value;
    case 'bool':
      return fn.let(v128.and(value, fn.int(1)));
    case 'bfloat16':
      return encodeBfloat16(fn, value);
    case 'float16':
      return encodeFloat16(fn, value);
  }
}

/**
 * Exponent and mantissa moved into place, then rescaled by 2^112: this also normalises subnormals. Infinity and NaN get
 * the full exponent.
 */
function decodeFloat16(fn: FunctionBuilder, raw: V128): V128 {
  const magnitude = fn.let(v128.and(raw, fn.int(0x7fff)));
  const scaled = f32x4.mul(i32x4.shl(magnitude, i32.const(13)), fn.float(2 ** 112));
  const special = v128.and(i32x4.gtS(magnitude, fn.int(0x7bff)), fn.int(0x7f800000));
  const sign = i32x4.shl(v128.and(raw, fn.int(0x8000)), i32.const(16));
  return fn.let(v128.or(v128.or(scaled, special), sign));
}

/** Round to nearest even on the upper 16 bits; NaN becomes the quiet NaN. */
function encodeBfloat16(fn: FunctionBuilder, value: V128): V128 {
  const lowest = v128.and(i32x4.shrU(value, i32.const(16)), fn.int(1));
  const rounded = i32x4.shrU(i32x4.add(value, i32x4.add(lowest, fn.int(0x7fff))), i32.const(16));
  return fn.let(v128.select(f32x4.eq(value, value), rounded, fn.int(0x7fc0)));
}

/**
 * Round to nearest even: normal results by adding half a unit (with carry into the exponent, so that overflow becomes
 * infinity), subnormal ones by a float addition that shifts the bits into place.
 */
function encodeFloat16(fn: FunctionBuilder, value: V128): V128 {
  const magnitude = fn.let(v128.and(value, fn.int(0x7fffffff)));
  const lowest = v128.and(i32x4.shrU(magnitude, i32.const(13)), fn.int(1));
  const rebased = i32x4.add(magnitude, fn.int(0xfff - (112 << 23)));
  const normal = i32x4.shrU(i32x4.add(rebased, lowest), i32.const(13));
  // 0.5 has the exponent at which one unit is 2^-24, the smallest float16.
  const subnormal = i32x4.sub(f32x4.add(magnitude, fn.float(0.5)), fn.float(0.5));
  const finite = v128.select(i32x4.ltS(magnitude, fn.int(113 << 23)), subnormal, normal);
  const overflow = v128.select(i32x4.gtS(magnitude, fn.int(0x7f800000)), fn.int(0x7e00), fn.int(0x7c00));
  const bits = v128.select(i32x4.ltS(magnitude, fn.int(143 << 23)), finite, overflow);
  const sign = v128.and(i32x4.shrU(value, i32.const(16)), fn.int(0x8000));
  return fn.let(v128.or(bits, sign));
}

/** A register value of type `from` as `to`; see the `cast` instruction. */
export function cast(fn: FunctionBuilder, value: V128, from: ComputeType, to: DType): V128 {
  if (to === 'bool') {
    if (from === 'bool') return value;
    return fn.let(from === 'int32' ? i32x4.ne(value, fn.int(0)) : f32x4.ne(value, fn.float(0)));
  }
  if (to === 'int32') {
    if (from === 'int32') return value;
    return fn.let(from === 'bool' ? v128.and(value, fn.int(1)) : i32x4.truncSatF32(value));
  }
  let float = value;
  if (from === 'int32') float = fn.let(f32x4.fromI32(value));
  if (from === 'bool') float = fn.let(v128.and(value, fn.float(1)));
  return to === 'float32' ? float : decode(fn, to, encode(fn, to, float));
}
