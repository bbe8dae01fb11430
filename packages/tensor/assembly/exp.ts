// e^x and ln x in float32.
import { madd, nmadd } from './vector';

// Constants are loaded where they are used: V8 rebuilds a v128.const at each use inside a loop.
const TABLE: usize = memory.data<f32>([
  -87.33654, -87.33654, -87.33654, -87.33654, //   0: ln(2^-126): below, the result is (nearly) 0
  1.4426950408889634, 1.4426950408889634, 1.4426950408889634, 1.4426950408889634, //  16: log2(e)
  12582912, 12582912, 12582912, 12582912, //  32: 1.5 * 2^23 rounds to an integer
  0.693359375, 0.693359375, 0.693359375, 0.693359375, //  48: ln(2), few bits
  -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, //  64: the rest of it
  1, 1, 1, 1, //  80
  0.5, 0.5, 0.5, 0.5, //  96
  0.16666665459, 0.16666665459, 0.16666665459, 0.16666665459, // 112: (e^r - 1 - r) / r^2, |r| <= ln(2) / 2 (Cephes)
  0.041665795894, 0.041665795894, 0.041665795894, 0.041665795894, // 128
  0.0083334519073, 0.0083334519073, 0.0083334519073, 0.0083334519073, // 144
  0.0013981999507, 0.0013981999507, 0.0013981999507, 0.0013981999507, // 160
  0.00019875691500, 0.00019875691500, 0.00019875691500, 0.00019875691500, // 176
], 16);

/** e^x for x <= 0 (NaN for NaN): relative error below 2e-7, 0 far down. */
@inline export function expNonPositive(x: v128): v128 {
  const least = v128.load(TABLE, 0);
  const c = f32x4.max(x, least);
  const t = madd(c, v128.load(TABLE, 16), v128.load(TABLE, 32));
  const n = f32x4.sub(t, v128.load(TABLE, 32));
  const r = nmadd(n, v128.load(TABLE, 64), nmadd(n, v128.load(TABLE, 48), c));
  let p = madd(v128.load(TABLE, 176), r, v128.load(TABLE, 160));
  p = madd(p, r, v128.load(TABLE, 144));
  p = madd(p, r, v128.load(TABLE, 128));
  p = madd(p, r, v128.load(TABLE, 112));
  p = madd(p, r, v128.load(TABLE, 96));
  const e = f32x4.add(madd(f32x4.mul(r, r), p, r), v128.load(TABLE, 80));
  const scaled = i32x4.add(e, i32x4.shl(t, 23));
  // Adding to the exponent garbles NaN; below the least argument the value is 0.
  const kept = v128.andnot(scaled, f32x4.lt(x, least));
  return v128.bitselect(x, kept, f32x4.ne(x, x));
}

/** ln x for positive finite x (the sum of a softmax); done in float64 and rounded once. */
export function logOf(x: f32): f32 {
  const bits = reinterpret<u64>(<f64>x);
  let e = <i32>(bits >> 52) - 1023;
  let m = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) { m *= 0.5; e += 1; }
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.172
  const s = (m - 1) / (m + 1);
  const q = s * s;
  const series = 1 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * (1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13))))));
  return <f32>(<f64>e * 0.6931471805599453 + 2 * s * series);
}
