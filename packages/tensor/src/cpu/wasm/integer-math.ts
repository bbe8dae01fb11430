import type { I32, V128 } from './expression';
import type { FunctionBuilder } from './function';
import { f64x2, i32, i32x4, v128 } from './operators';

/** int32 functions on four lanes that have no single instruction. */

/**
 * a / b truncated towards zero, 0 where b is 0, wrapping for -2^31 / -1. Exact: float64 quotients of 32-bit integers
 * truncate correctly.
 */
export function divide(fn: FunctionBuilder, a: V128, b: V128): V128 {
  const half = (x: V128): V128 => f64x2.fromLowI32(x);
  const upper = (x: V128): V128 => f64x2.fromLowI32(v128.shuffle(x, x, [2, 3, 2, 3]));
  const low = i32x4.truncSatF64Zero(f64x2.div(half(a), half(b)));
  const high = i32x4.truncSatF64Zero(f64x2.div(upper(a), upper(b)));
  const quotient = fn.let(v128.shuffle(low, high, [0, 1, 4, 5]));
  const negated = fn.let(v128.select(i32x4.eq(b, fn.int(-1)), i32x4.neg(a), quotient));
  return fn.let(v128.andnot(negated, i32x4.eq(b, fn.int(0))));
}

/** Shifts lane by lane; the count is taken modulo 32. */
export function shift(fn: FunctionBuilder, a: V128, count: V128, op: (a: I32, b: I32) => I32): V128 {
  let result = i32x4.splat(op(i32x4.extract(a, 0), i32x4.extract(count, 0)));
  for (let lane = 1; lane < 4; lane++) {
    result = i32x4.replace(result, lane, op(i32x4.extract(a, lane), i32x4.extract(count, lane)));
  }
  return fn.let(result);
}

/** x^y by repeated squaring, wrapping. For y < 0: 1 / x^-y truncated, i.e. 0 unless x is 1 or -1. */
export function power(fn: FunctionBuilder, x: V128, y: V128): V128 {
  const result = fn.local('v128');
  const base = fn.local('v128');
  const rest = fn.local('v128');
  const one = fn.int(1);
  const isUnit = fn.let(i32x4.eq(i32x4.abs(x), one));
  fn.set(result, one);
  fn.set(base, x);
  // For units only the parity of y matters; other bases get 0 below.
  fn.set(rest, v128.select(isUnit, v128.and(y, one), i32x4.maxS(y, fn.int(0))));
  const more: I32 = i32x4.extract(v128.or(rest.get, v128.shuffle(rest.get, rest.get, [1, 2, 3, 0])), 0);
  const moreHigh: I32 = i32x4.extract(v128.or(rest.get, v128.shuffle(rest.get, rest.get, [1, 2, 3, 0])), 2);
  fn.while(i32.or(more, moreHigh), () => {
    const bit = i32x4.neg(v128.and(rest.get, one));
    fn.set(result, v128.select(bit, i32x4.mul(result.get, base.get), result.get));
    fn.set(base, i32x4.mul(base.get, base.get));
    fn.set(rest, i32x4.shrU(rest.get, i32.const(1)));
  });
  const vanishes = v128.andnot(i32x4.ltS(y, fn.int(0)), isUnit);
  return fn.let(v128.andnot(result.get, vanishes));
}

/** Threefry-2x32, 20 rounds (Salmon et al. 2011): both output words for the counter (counter, 0). */
export function threefry(fn: FunctionBuilder, key0: V128, key1: V128, counter: V128): readonly [V128, V128] {
  const rotations = [
    [13, 15, 26, 6],
    [17, 29, 16, 24],
  ];
  const keys = [key0, key1, fn.let(v128.xor(v128.xor(key0, key1), fn.int(0x1bd11bda)))];
  let x0 = fn.let(i32x4.add(counter, key0));
  let x1 = key1;
  for (let group = 0; group < 5; group++) {
    for (const r of rotations[group % 2]) {
      x0 = fn.let(i32x4.add(x0, x1));
      const rotated = v128.or(i32x4.shl(x1, i32.const(r)), i32x4.shrU(x1, i32.const(32 - r)));
      x1 = fn.let(v128.xor(rotated, x0));
    }
    x0 = fn.let(i32x4.add(x0, keys[(group + 1) % 3]));
    x1 = fn.let(i32x4.add(i32x4.add(x1, keys[(group + 2) % 3]), fn.int(group + 1)));
  }
  return [x0, x1];
}
