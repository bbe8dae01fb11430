// Half-precision storage, widened to float32 on the way in. Exact: every bfloat16 and float16 is a float32.
import { loadLanes, zero } from './vector';

// Element types as src/cpu/routines/element-type.ts numbers them.
@inline export const FLOAT: i32 = 0;
@inline export const BFLOAT16: i32 = 1;
@inline export const FLOAT16: i32 = 2;

/** log2 of the bytes of an element. */
@inline export function shiftOf(type: i32): usize { return type == FLOAT ? 2 : 1; }

/**
 * Constants of the conversions, in memory: V8 builds a v128.const anew in several instructions wherever it stands, inner loops included, but
 * keeps a loaded value in a register. Zero, then the masks of widenFloat16.
 */
const constants: usize = memory.data<i32>([
  0, 0, 0, 0,
  0x8fffffff, 0x8fffffff, 0x8fffffff, 0x8fffffff,
  0x77800000, 0x77800000, 0x77800000, 0x77800000,
  0x47800000, 0x47800000, 0x47800000, 0x47800000,
  0x7f800000, 0x7f800000, 0x7f800000, 0x7f800000,
], 16);

/** Zeros, for the `none` of lowHalf and highHalf: load them once, in front of the loop. */
@inline export function zeros(): v128 { return v128.load(constants); }

/**
 * float16 in the upper half of each lane. Exponent and fraction moved into place below the sign give a number 2^112 too small, subnormals
 * included; infinities and NaN, then 65536 or more, get the exponent of their kind.
 */
@inline function widenFloat16(x: v128): v128 {
  const small = v128.and(i32x4.shr_s(x, 3), v128.load(constants, 16));
  const value = f32x4.mul(small, v128.load(constants, 32));
  const special = f32x4.ge(f32x4.abs(value), v128.load(constants, 48));
  return v128.or(value, v128.and(special, v128.load(constants, 64)));
}

/** The first four of eight elements as float32. A bfloat16 is the upper half of its float32. */
@inline export function lowHalf(x: v128, type: i32, none: v128): v128 {
  const upper = v128.shuffle<i16>(none, x, 0, 8, 1, 9, 2, 10, 3, 11);
  return type == BFLOAT16 ? upper : widenFloat16(upper);
}
/** The last four. */
@inline export function highHalf(x: v128, type: i32, none: v128): v128 {
  const upper = v128.shuffle<i16>(none, x, 4, 12, 5, 13, 6, 14, 7, 15);
  return type == BFLOAT16 ? upper : widenFloat16(upper);
}

/** Four elements as float32. */
@inline export function loadFour(at: usize, type: i32): v128 {
  return type == FLOAT ? v128.load(at) : lowHalf(v128.load64_zero(at), type, zeros());
}

/** 1 to 4 elements as float32; missing lanes are 0. Never touches memory behind them. */
@inline export function loadSome(at: usize, lanes: i32, type: i32): v128 {
  return type == FLOAT ? loadLanes(at, lanes) : lowHalf(loadHalves(at, lanes), type, zeros());
}

@inline export function loadOne(at: usize, type: i32): f32 {
  return type == FLOAT ? load<f32>(at) : f32x4.extract_lane(lowHalf(v128.load16_lane(at, zero(), 0), type, zeros()), 0);
}

function loadHalves(at: usize, lanes: i32): v128 {
  if (lanes >= 4) return v128.load64_zero(at);
  if (lanes == 1) return v128.load16_lane(at, zero(), 0);
  const low = v128.load32_zero(at);
  return lanes == 2 ? low : v128.load16_lane(at + 4, low, 2);
}

/** `count` elements of a type that is known only when it runs, as float32. */
export function widenRow(count: i32, source: usize, target: usize, type: i32): void {
  if (type == BFLOAT16) widenAs(count, source, target, BFLOAT16);
  else widenAs(count, source, target, FLOAT16);
}

@inline function widenAs(count: i32, source: usize, target: usize, type: i32): void {
  const none = zeros();
  const end = source + (<usize>(count & ~7) << 1);
  while (source != end) {
    const x = v128.load(source);
    v128.store(target, lowHalf(x, type, none));
    v128.store(target, highHalf(x, type, none), 16);
    source += 16;
    target += 32;
  }
  for (count &= 7; count > 0; count--) {
    store<f32>(target, loadOne(source, type));
    source += 2;
    target += 4;
  }
}
