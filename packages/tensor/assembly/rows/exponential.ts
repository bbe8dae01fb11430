// Sums of exponentials, and the logarithm of one number.
//
// Constants are loaded from a table: V8 builds a v128.const anew at each use inside a loop. The polynomial, from its
// highest power, is (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2 (the coefficients of Cephes' expf).
import { laneSum, loadLanes, madd, nmadd } from '../vector';

const TABLE: usize = memory.data<f32>([
  -87.33654, -87.33654, -87.33654, -87.33654, //   0: ln(2^-126)
  1.4426950408889634, 1.4426950408889634, 1.4426950408889634, 1.4426950408889634, //  16: log2(e)
  12582912, 12582912, 12582912, 12582912, //  32: 1.5 * 2^23, adding it rounds to an integer in the low mantissa bits
  0.693359375, 0.693359375, 0.693359375, 0.693359375, //  48: ln(2), few bits, so that products with integers are exact
  -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, //  64: rest
  1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, //  80: the polynomial
  1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, //  96
  8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, // 112
  4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, // 128
  1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, // 144
  5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, // 160
  1, 1, 1, 1, // 176
], 16);

/**
 * Adds e^(x - shift) of `count` floats, none above `shift`: each with a relative error below 1.2e-7, exactly 0 below
 * ln(2^-126). Two vectors go side by side and share the constants' loads.
 */
export function sumExp(x: usize, count: i32, shift: f32): f32 {
  const s = f32x4.splat(shift);
  let sum = i32x4.splat(0), sum2 = sum;
  const end = x + (<usize>(count & ~7) << 2);
  while (true) {
    let u: v128, v: v128;
    if (x != end) {
      u = f32x4.sub(v128.load(x), s);
      v = f32x4.sub(v128.load(x, 16), s);
    } else {
      // What is left, and behind it numbers whose e^x is 0.
      count &= 7;
      if (count == 0) break;
      const none = f32x4.splat(-1000);
      u = f32x4.sub(loadLanes(x, count), s);
      v = count > 4 ? f32x4.sub(loadLanes(x + 16, count - 4), s) : none;
      u = v128.bitselect(u, none, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
      v = v128.bitselect(v, none, i32x4.lt_s(i32x4(4, 5, 6, 7), i32x4.splat(count)));
      count = 0;
    }
    let c = v128.load(TABLE);
    const inside = f32x4.ge(u, c), inside2 = f32x4.ge(v, c);
    u = f32x4.pmax(u, c);
    v = f32x4.pmax(v, c);
    c = v128.load(TABLE, 32);
    const log2e = v128.load(TABLE, 16);
    const t = madd(u, log2e, c), t2 = madd(v, log2e, c);
    const n = f32x4.sub(t, c), n2 = f32x4.sub(t2, c);
    c = v128.load(TABLE, 48);
    u = nmadd(n, c, u);
    v = nmadd(n2, c, v);
    c = v128.load(TABLE, 64);
    u = nmadd(n, c, u);
    v = nmadd(n2, c, v);
    c = v128.load(TABLE, 80);
    const d = v128.load(TABLE, 96);
    let p = madd(c, u, d), p2 = madd(c, v, d);
    c = v128.load(TABLE, 112);
    p = madd(p, u, c); p2 = madd(p2, v, c);
    c = v128.load(TABLE, 128);
    p = madd(p, u, c); p2 = madd(p2, v, c);
    c = v128.load(TABLE, 144);
    p = madd(p, u, c); p2 = madd(p2, v, c);
    c = v128.load(TABLE, 160);
    p = madd(p, u, c); p2 = madd(p2, v, c);
    c = v128.load(TABLE, 176);
    p = f32x4.add(madd(f32x4.mul(u, u), p, u), c);
    p2 = f32x4.add(madd(f32x4.mul(v, v), p2, v), c);
    // 2^n goes into the exponent bits; p is in [0.7, 1.42], n >= -126, and p >= 1 at n = -126.
    sum = f32x4.add(sum, v128.and(i32x4.add(p, i32x4.shl(t, 23)), inside));
    sum2 = f32x4.add(sum2, v128.and(i32x4.add(p2, i32x4.shl(t2, 23)), inside2));
    if (x == end) break;
    x += 32;
  }
  return laneSum(f32x4.add(sum, sum2));
}

/**
 * Natural logarithm of a positive normal number, to about 1e-15: x = 2^e m with m near 1, log m = 2 artanh((m - 1) / (m
 * + 1)).
 */
export function logarithm(x: f64): f64 {
  const bits = reinterpret<i64>(x);
  let e = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0xfffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) { m *= 0.5; e++; }
  const s = (m - 1) / (m + 1);
  const q = s * s;
  let p: f64 = 1.0 / 19;
  for (let k = 17; k > 0; k -= 2) p = p * q + 1.0 / <f64>k;
  return <f64>e * 0.6931471805599453 + 2 * s * p;
}
