// float32x4 arithmetic: fused multiply-add where the build has it, exp, softplus, sigmoid, sine and cosine.
//
// Constants are loaded from a table where they are used: V8 rebuilds a v128.const through integer registers at each
// use inside a loop, which doubles the time of the kernel (29 -> 60 ms at length 2048, 1536 channels, 16 states).

const TABLE: usize = memory.data<f32>([
  -127, -127, -127, -127, //  0: exp2 is 0 from here down
  128, 128, 128, 128, //  16: and infinite from here up
  12582912, 12582912, 12582912, 12582912, //  32: 1.5 * 2^23, adding it rounds to an integer in the low mantissa bits
  1, 1, 1, 1, //  48
  0.6931470036506653, 0.6931470036506653, 0.6931470036506653, 0.6931470036506653, //  64: 2^f, |f| <= 1/2, minimax,
  0.24022246897220612, 0.24022246897220612, 0.24022246897220612, 0.24022246897220612, //  80: relative error 9.4e-8
  0.0555071085691452, 0.0555071085691452, 0.0555071085691452, 0.0555071085691452, //  96
  0.009671292267739773, 0.009671292267739773, 0.009671292267739773, 0.009671292267739773, // 112
  0.0013269535265862942, 0.0013269535265862942, 0.0013269535265862942, 0.0013269535265862942, // 128
  1.4426950408889634, 1.4426950408889634, 1.4426950408889634, 1.4426950408889634, // 144: log2(e)
  0.693359375, 0.693359375, 0.693359375, 0.693359375, // 160: ln(2), high part: few bits, products with n are exact
  -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, -2.12194440054690583e-4, // 176: low part
  -87.33654, -87.33654, -87.33654, -87.33654, // 192: ln(2^-126)
  2.0, 2.0, 2.0, 2.0, // 208: log1p(e) = s P(s^2), s = e / (2 + e), coefficients of P from here; relative error 5e-9
  0.666664183139801, 0.666664183139801, 0.666664183139801, 0.666664183139801, // 224
  0.40021437406539917, 0.40021437406539917, 0.40021437406539917, 0.40021437406539917, // 240
  0.2800302803516388, 0.2800302803516388, 0.2800302803516388, 0.2800302803516388, // 256
  0.2800675332546234, 0.2800675332546234, 0.2800675332546234, 0.2800675332546234, // 272
  1.5707963705062866, 1.5707963705062866, 1.5707963705062866, 1.5707963705062866, // 288: sin(f pi/2) = f S(f^2), 3e-8
  -0.645966649055481, -0.645966649055481, -0.645966649055481, -0.645966649055481, // 304
  0.07971252501010895, 0.07971252501010895, 0.07971252501010895, 0.07971252501010895, // 320
  -0.004685971420258284, -0.004685971420258284, -0.004685971420258284, -0.004685971420258284, // 336
  -1.2336976528167725, -1.2336976528167725, -1.2336976528167725, -1.2336976528167725, // 352: cos(f pi/2), 4e-8
  0.25360238552093506, 0.25360238552093506, 0.25360238552093506, 0.25360238552093506, // 368
  -0.020414529368281364, -0.020414529368281364, -0.020414529368281364, -0.020414529368281364, // 384
], 16);

@inline export const LOG2_E: f32 = 1.4426950408889634;
@inline export const LN_2: f32 = 0.6931471805599453;
@inline export const TWO_OVER_PI: f32 = 0.6366197723675814;
@inline export const HALF_PI: f32 = 1.5707963267948966;

/** a * b + c, rounded once where the relaxed build's CPU has fused multiply-add. */
@inline export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** c - a * b. */
@inline export function nmadd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_nmadd(a, b, c);
  return f32x4.sub(c, f32x4.mul(a, b));
}

@inline export function zero(): v128 { return i32x4.splat(0); }
@inline export function one(): v128 { return v128.load(TABLE, 48); }

/** 2^f for |f| <= 1/2. */
@inline function exp2Fraction(f: v128): v128 {
  const f2 = f32x4.mul(f, f);
  const p0 = madd(v128.load(TABLE, 64), f, v128.load(TABLE, 48));
  const p1 = madd(v128.load(TABLE, 96), f, v128.load(TABLE, 80));
  const p2 = madd(v128.load(TABLE, 128), f, v128.load(TABLE, 112));
  return madd(madd(p2, f2, p1), f2, p0);
}

/**
 * 2^x: relative error below 2e-7 down to 2^-126, from there linear to exactly 0 at -127, infinite from 128 on.
 * The clamps are exact: at -127 and 128 the fraction is 0 and the exponent bits come out as those of 0 and infinity.
 */
@inline export function exp2(x: v128): v128 {
  const c = f32x4.pmin(f32x4.pmax(x, v128.load(TABLE, 0)), v128.load(TABLE, 16));
  const t = f32x4.add(c, v128.load(TABLE, 32));
  const f = f32x4.sub(c, f32x4.sub(t, v128.load(TABLE, 32)));
  return i32x4.add(exp2Fraction(f), i32x4.shl(t, 23));
}

/** e^x for x <= 0: relative error below 2e-7, exactly 0 below ln(2^-126). */
@inline export function expNonPositive(x: v128): v128 {
  const least = v128.load(TABLE, 192);
  const c = f32x4.pmax(x, least);
  const t = madd(c, v128.load(TABLE, 144), v128.load(TABLE, 32));
  const n = f32x4.sub(t, v128.load(TABLE, 32));
  const r = nmadd(n, v128.load(TABLE, 176), nmadd(n, v128.load(TABLE, 160), c));
  const e = i32x4.add(exp2Fraction(f32x4.mul(r, v128.load(TABLE, 144))), i32x4.shl(t, 23));
  return v128.and(e, f32x4.ge(x, least));
}

/** e^-|x|, which softplus and sigmoid of x share. */
@inline export function expOfMagnitude(x: v128): v128 { return expNonPositive(f32x4.neg(f32x4.abs(x))); }

/** log(1 + e^x) = max(x, 0) + log1p(e^-|x|); equals x from about 17 on, so the contract's identity above 20 holds. */
@inline export function softplus(x: v128, e: v128): v128 {
  const s = f32x4.div(e, f32x4.add(e, v128.load(TABLE, 208)));
  const q = f32x4.mul(s, s);
  let p = madd(v128.load(TABLE, 272), q, v128.load(TABLE, 256));
  p = madd(p, q, v128.load(TABLE, 240));
  p = madd(p, q, v128.load(TABLE, 224));
  p = madd(p, q, v128.load(TABLE, 208));
  return madd(p, s, f32x4.pmax(x, zero()));
}

/** 1 / (1 + e^-x), the derivative of softplus. */
@inline export function sigmoid(x: v128, e: v128): v128 {
  const numerator = v128.bitselect(e, one(), f32x4.lt(x, zero()));
  return f32x4.div(numerator, f32x4.add(one(), e));
}

/** x / (1 + e^-x). */
@inline export function silu(x: v128): v128 { return f32x4.mul(x, sigmoid(x, expOfMagnitude(x))); }

/** Quarter turns: x rounded to an integer, as low bits. */
@inline export function quarterTurns(x: v128): v128 { return f32x4.add(x, v128.load(TABLE, 32)); }
/** What is left of x beyond whole quarter turns. */
@inline export function quarterRest(x: v128, turns: v128): v128 {
  return f32x4.sub(x, f32x4.sub(turns, v128.load(TABLE, 32)));
}

/** sin(f pi/2) for |f| <= 1/2. */
@inline export function sineOfQuarter(f: v128): v128 {
  const g = f32x4.mul(f, f);
  const p = madd(madd(v128.load(TABLE, 336), g, v128.load(TABLE, 320)), g, v128.load(TABLE, 304));
  return f32x4.mul(f, madd(p, g, v128.load(TABLE, 288)));
}
/** cos(f pi/2) for |f| <= 1/2. */
@inline export function cosineOfQuarter(f: v128): v128 {
  const g = f32x4.mul(f, f);
  const p = madd(madd(v128.load(TABLE, 384), g, v128.load(TABLE, 368)), g, v128.load(TABLE, 352));
  return madd(p, g, v128.load(TABLE, 48));
}
/** Sine of the whole angle from both values of the rest: an odd quarter swaps them, the second bit is the sign. */
@inline export function turnSine(turns: v128, s: v128, c: v128): v128 {
  const odd = i32x4.neg(v128.and(turns, i32x4.splat(1)));
  return v128.xor(v128.bitselect(c, s, odd), i32x4.shl(v128.and(turns, i32x4.splat(2)), 30));
}
/** Cosine of the whole angle. */
@inline export function turnCosine(turns: v128, s: v128, c: v128): v128 {
  const odd = i32x4.neg(v128.and(turns, i32x4.splat(1)));
  const sign = i32x4.shl(v128.and(i32x4.add(turns, i32x4.splat(1)), i32x4.splat(2)), 30);
  return v128.xor(v128.bitselect(s, c, odd), sign);
}

/** Reads 1 to 4 floats; missing lanes are 0. Never touches memory behind them. */
@inline export function loadLanes(at: usize, lanes: i32): v128 {
  if (lanes >= 4) return v128.load(at);
  if (lanes == 1) return v128.load32_zero(at);
  const low = v128.load64_zero(at);
  return lanes == 2 ? low : v128.load32_lane(at + 8, low, 2);
}

/** Writes the first 1 to 4 lanes. */
@inline export function storeLanes(at: usize, value: v128, lanes: i32): void {
  if (lanes >= 4) { v128.store(at, value); return; }
  if (lanes == 1) { v128.store32_lane(at, value, 0); return; }
  v128.store64_lane(at, value, 0);
  if (lanes == 3) v128.store32_lane(at + 8, value, 2);
}

/** Sums of the lanes of four vectors, as one vector. */
@inline export function laneSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}
