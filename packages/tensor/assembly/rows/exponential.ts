// e^x on vectors and the logarithm of one number.
//
// Constants are loaded from a table: V8 builds a v128.const anew at each use inside a loop.
import { madd, nmadd } from '../vector';

const TABLE: usize = memory.data<f32>([
  -87.33654, -87.33654, -87.33654, -87.33654, //   0: ln(2^-126)
  1.4426950408889634, 1.4426950408889634, 1.4426950408889634, 1.4426950408889634, //  16: log2(e)
  12582912, 12582912, 12582912, 12582912, //  32: 1.5 * 2^23, adding it rounds to an integer in the low mantissa bits
  0.693359375, 0.693359375, 0.693359375, 0.693359375, //  48: ln(2), few bits, so that products with integers are exact
  -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, //  64: the rest of it
  1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, //  80: (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2, from the highest power
  1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, //  96
  8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, // 112
  4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, // 128
  1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, // 144
  5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, // 160
  1, 1, 1, 1, // 176
], 16);

/** e^x for x <= 0: relative error below 1.2e-7, exactly 0 below ln(2^-126) and for NaN. */
@inline export function expNonPositive(x: v128): v128 {
  const least = v128.load(TABLE);
  const c = f32x4.pmax(x, least);
  const t = madd(c, v128.load(TABLE, 16), v128.load(TABLE, 32));
  const n = f32x4.sub(t, v128.load(TABLE, 32));
  const r = nmadd(n, v128.load(TABLE, 64), nmadd(n, v128.load(TABLE, 48), c));
  let p = madd(v128.load(TABLE, 80), r, v128.load(TABLE, 96));
  p = madd(p, r, v128.load(TABLE, 112));
  p = madd(p, r, v128.load(TABLE, 128));
  p = madd(p, r, v128.load(TABLE, 144));
  p = madd(p, r, v128.load(TABLE, 160));
  p = f32x4.add(madd(f32x4.mul(r, r), p, r), v128.load(TABLE, 176));
  // 2^n goes into the exponent bits; p is in [0.7, 1.42], n >= -126, and p >= 1 at n = -126.
  return v128.and(i32x4.add(p, i32x4.shl(t, 23)), f32x4.ge(x, least));
}

/** Natural logarithm of a positive normal number, to about 1e-15: x = 2^e m with m near 1, log m = 2 artanh((m - 1) / (m + 1)). */
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
