// Half-precision storage, widened to float32 on the way in. Exact: every bfloat16 and float16 is a float32.
import { loadLanes, zero } from './vector';

// Element types as src/cpu/routines/element-type.ts numbers them.
@inline export const FLOAT: i32 = 0;
@inline export const BFLOAT16: i32 = 1;
@inline export const FLOAT16: i32 = 2;

/** log2 of the bytes of an element. */
@inline export function shiftOf(type: i32): usize { return type == FLOAT ? 2 : 1; }

/** The first four of eight bfloat16: a bfloat16 is the upper half of its float32. */
@inline export function lowBFloat16(x: v128): v128 { return v128.shuffle<i16>(zero(), x, 0, 8, 1, 9, 2, 10, 3, 11); }
/** The last four. */
@inline export function highBFloat16(x: v128): v128 { return v128.shuffle<i16>(zero(), x, 4, 12, 5, 13, 6, 14, 7, 15); }

/**
 * float16 in the low half of each lane. Exponent and fraction moved into place give a number 2^112 too small, subnormals included;
 * infinities and NaN get the exponent of their kind.
 */
@inline export function widenFloat16(x: v128): v128 {
  const magnitude = i32x4.shl(v128.and(x, i32x4.splat(0x7fff)), 13);
  const special = v128.and(i32x4.gt_s(magnitude, i32x4.splat(0x0f7fffff)), i32x4.splat(0x7f800000));
  const sign = i32x4.shl(v128.and(x, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(f32x4.mul(magnitude, i32x4.splat(0x77800000)), special), sign);
}

@inline export function lowHalf(x: v128, type: i32): v128 {
  return type == BFLOAT16 ? lowBFloat16(x) : widenFloat16(i32x4.extend_low_i16x8_u(x));
}
@inline export function highHalf(x: v128, type: i32): v128 {
  return type == BFLOAT16 ? highBFloat16(x) : widenFloat16(i32x4.extend_high_i16x8_u(x));
}

/** Four elements as float32. */
@inline export function loadFour(at: usize, type: i32): v128 {
  return type == FLOAT ? v128.load(at) : lowHalf(v128.load64_zero(at), type);
}

/** 1 to 4 elements as float32; missing lanes are 0. Never touches memory behind them. */
@inline export function loadSome(at: usize, lanes: i32, type: i32): v128 {
  return type == FLOAT ? loadLanes(at, lanes) : lowHalf(loadHalves(at, lanes), type);
}

@inline export function loadOne(at: usize, type: i32): f32 {
  return type == FLOAT ? load<f32>(at) : f32x4.extract_lane(lowHalf(v128.load16_lane(at, zero(), 0), type), 0);
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
  const end = source + (<usize>(count & ~7) << 1);
  while (source != end) {
    const x = v128.load(source);
    v128.store(target, lowHalf(x, type));
    v128.store(target, highHalf(x, type), 16);
    source += 16;
    target += 32;
  }
  for (count &= 7; count > 0; count--) {
    store<f32>(target, loadOne(source, type));
    source += 2;
    target += 4;
  }
}
