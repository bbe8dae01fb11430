/**
 * WGSL functions that printed code calls, and how the ones that a text needs are found. WGSL's own exp, log, sin, … may be off by many units in
 * the last place, and an implementation may assume that NaN and infinity do not occur: these are written with polynomials (those of the CPU
 * backend) and bit patterns. Maximum relative error about 2e-7 where not said otherwise.
 *
 * Constants that WGSL refuses in constant expressions (NaN, infinity) are made from private variables, whose values a compiler may not assume.
 */
const functions: Readonly<Record<string, string>> = {
  nan: `var<private> nan_bits: u32 = 0x7fc00000u;
fn nan() -> f32 { return bitcast<f32>(nan_bits); }`,
  infinity: `var<private> infinity_bits: u32 = 0x7f800000u;
fn infinity() -> f32 { return bitcast<f32>(infinity_bits); }`,
  is_nan: 'fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }',
  differ_f: 'fn differ_f(a: f32, b: f32) -> bool { return a != b || is_nan(a) || is_nan(b); }',
  min_f: 'fn min_f(a: f32, b: f32) -> f32 { return select(select(b, a, a < b || is_nan(a)), b, is_nan(b)); }',
  max_f: 'fn max_f(a: f32, b: f32) -> f32 { return select(select(b, a, a > b || is_nan(a)), b, is_nan(b)); }',
  sign_f: 'fn sign_f(x: f32) -> f32 { return select(select(x, -1.0, x < 0.0), 1.0, x > 0.0); }',
  rsqrt_f: 'fn rsqrt_f(x: f32) -> f32 { return select(inverseSqrt(x), 1.0 / x, x == 0.0); }',

  // x = k ln 2 + r, |r| <= ln 2 / 2: (e^(r + low) - 1, k). |x| below 2^21.
  exp_parts: `fn exp_parts(x: f32, low: f32) -> vec2<f32> {
  let k = floor(x * 1.44269504 + 0.5);
  let r = ((x - k * 0.693359375) + k * 2.1219444e-4) + low;
  let p = 0.5 + r * (0.16666545 + r * (0.0416664034 + r * (0.00836640503 + r * 0.0013940644)));
  return vec2<f32>(p * (r * r) + r, k);
}`,
  power_of_two: 'fn power_of_two(n: i32) -> f32 { return bitcast<f32>((n + 127i) << 23u); }',
  // x within [low, high]; NaN stays.
  limit: 'fn limit(x: f32, low: f32, high: f32) -> f32 { return select(select(x, high, x > high), low, x < low); }',
  // In two factors: the power itself may be beyond the normal numbers where the result isn't.
  scaled_exp: `fn scaled_exp(parts: vec2<f32>) -> f32 {
  let n = i32(parts.y);
  let half = n >> 1u;
  return (parts.x + 1.0) * power_of_two(half) * power_of_two(n - half);
}`,
  exp_f: `fn exp_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  return scaled_exp(exp_parts(limit(x, -104.0, 89.0), 0.0));
}`,
  // 2^n (e^r - 1) + (2^n - 1), at half scale so that 2^128 does not come up.
  expm1_f: `fn expm1_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let parts = exp_parts(limit(x, -18.0, 88.9), 0.0);
  let s = power_of_two(i32(parts.y) - 1i);
  let half = s * parts.x + (s - 0.5);
  return half + half;
}`,
  // ln(1 + f) for s = f / (2 + f): f - (f²/2 - s (f²/2 + R)), |s| <= 0.1716; \`low\` goes in before the large terms.
  log_series: `fn log_series(f: f32, low: f32) -> f32 {
  let s = f / (2.0 + f);
  let z = s * s;
  let half_square = 0.5 * f * f;
  let rest = z * (0.666667759 + z * (0.399775684 + z * 0.298714608));
  return f - (half_square - (s * (half_square + rest) + low));
}`,
  // x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): (e, f). x positive and normal.
  log_split: `fn log_split(x: f32) -> vec2<f32> {
  let offset = bitcast<i32>(x) - 0x3f3504f3i;
  return vec2<f32>(f32(offset >> 23u), bitcast<f32>((offset & 0x007fffffi) + 0x3f3504f3i) - 1.0);
}`,
  log_special: `fn log_special(x: f32, value: f32) -> f32 {
  if (is_nan(x) || x < 0.0) { return nan(); }
  if (x == 0.0) { return -infinity(); }
  return select(x, value, x <= 3.4028234e38);
}`,
  log_f: `fn log_f(x: f32) -> f32 {
  let tiny = x < 1.17549435e-38;
  let parts = log_split(select(x, x * 8388608.0, tiny));
  let e = parts.x - select(0.0, 23.0, tiny);
  return log_special(x, e * 0.693359375 + log_series(parts.y, e * -2.1219444e-4));
}`,
  // u = 1 + x; what its rounding lost is put back: ln(1 + x) = ln u + (x - (u - 1)) / u to first order.
  log1p_f: `fn log1p_f(x: f32) -> f32 {
  if (x == 0.0) { return x; }
  let u = 1.0 + x;
  let parts = log_split(u);
  let e = parts.x;
  if (e == 0.0) { return log_special(u, log_series(x, 0.0)); }
  let lost = select(x - (u - 1.0), 1.0 - (u - x), e >= 2.0);
  return log_special(u, e * 0.693359375 + log_series(parts.y, e * -2.1219444e-4 + lost / u));
}`,
  // -t / (2 + t) with t = e^(-2|x|) - 1, and the sign of x.
  tanh_f: `fn tanh_f(x: f32) -> f32 {
  let t = expm1_f(-2.0 * abs(x));
  let y = -t / (2.0 + t);
  return select(y, -y, x < 0.0);
}`,
  sigmoid_f: 'fn sigmoid_f(x: f32) -> f32 { return 1.0 / (1.0 + exp_f(-x)); }',
  // max(x, 0) + ln(1 + t), t = e^-|x|; ln(1 + t) = 2 atanh(t / (2 + t)), argument <= 1/3. x itself above 20.
  softplus_f: `fn softplus_f(x: f32) -> f32 {
  if (is_nan(x) || x > 20.0) { return x; }
  let t = exp_f(-abs(x));
  let s = t / (t + 2.0);
  let z = s * s;
  let series = 0.666664124 + z * (0.400217503 + z * (0.27998212 + z * 0.280294299));
  return max(x, 0.0) + (s * z * series + (s + s));
}`,
  // |x| < 0.92: x + x P(x²). Above: 1 - exp(-Q(|x|)), where Q = -ln erfc.
  erf_f: `fn erf_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let t = abs(x);
  if (t < 0.92) {
    let z = x * x;
    return x + x * (0.128379151 + z * (-0.376124948 + z * (0.112818047 + z * (-0.0267658047 + z * (0.00499164127 + z * -0.000598180748)))));
  }
  let c = min(t, 4.0);
  let q = 0.000195693268 + c * (1.12767553 + c * (0.637182415 + c * (0.103931472 + c * (-0.0222268924 + c * (0.00304322666 + c * -0.000195941058)))));
  let y = 1.0 - exp_f(-q);
  return select(y, -y, x < 0.0);
}`,
  // sin (quarters 0) or cos (1). x = n pi/2 + r, pi/2 in four parts whose products with n are exact up to |x| = 1e5; beyond, the phase is lost.
  sin_cos: `fn sin_cos(x: f32, quarters: i32) -> f32 {
  if (is_nan(x) || abs(x) > 3.4028234e38) { return nan(); }
  let n = floor(x * 0.636619772 + 0.5);
  let r = limit((((x - n * 1.5703125) - n * 0.0004825592041015625) - n * 1.26659870147705078125e-6) - n * 9.920935796805404e-10, -0.7854, 0.7854);
  let z = r * r;
  let sine = r + r * z * (-0.166666552 + z * (0.00833218824 + z * -0.000195180954));
  let cosine = (1.0 - 0.5 * z) + z * z * (0.0416666456 + z * (-0.00138873095 + z * 2.44323273e-5));
  let turn = i32(limit(n, -1e9, 1e9)) + quarters;
  let y = select(sine, cosine, (turn & 1i) != 0i);
  return select(y, -y, (turn & 2i) != 0i);
}`,
  sin_f: 'fn sin_f(x: f32) -> f32 { return select(sin_cos(x, 0i), x, abs(x) < 1e-4); }',
  cos_f: 'fn cos_f(x: f32) -> f32 { return sin_cos(x, 1i); }',

  // a b as a rounded product and its error: factors split into halves of 12 bits, whose products are exact.
  product_error: `fn product_error(a: f32, b: f32, p: f32) -> f32 {
  let ah = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
  let bh = bitcast<f32>(bitcast<u32>(b) & 0xfffff000u);
  let al = a - ah;
  let bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
}`,
  // x^y = e^(y ln |x|), the logarithm and the product each in two parts. Relative error about 1e-7 + 3e-8 |y|.
  pow_f: `fn pow_f(x: f32, y: f32) -> f32 {
  if (y == 0.0 || x == 1.0) { return select(1.0, y, is_nan(y)); }
  if (is_nan(x) || is_nan(y)) { return nan(); }
  let magnitude = abs(x);
  let whole = floor(y) == y;
  let odd = whole && floor(y * 0.5) * 2.0 != y;
  var result: f32;
  if (magnitude == 0.0) { result = select(infinity(), 0.0, y > 0.0); }
  else if (magnitude > 3.4028234e38) { result = select(0.0, magnitude, y > 0.0); }
  else if (abs(y) > 3.4028234e38) {
    if (magnitude == 1.0) { return nan(); }
    result = select(0.0, infinity(), (magnitude > 1.0) == (y > 0.0));
  } else {
    let tiny = magnitude < 1.17549435e-38;
    let parts = log_split(select(magnitude, magnitude * 8388608.0, tiny));
    let e = parts.x - select(0.0, 23.0, tiny);
    let high = e * 0.693359375;
    let series = log_series(parts.y, 0.0);
    let sum = high + series;
    let log_low = (select(high, series, abs(series) > abs(high)) - sum) + select(series, high, abs(series) > abs(high)) + e * -2.1219444e-4;
    let p = y * sum;
    let low = product_error(y, sum, p) + y * log_low;
    if (p > 89.0) { result = infinity(); }
    else if (p < -104.0) { result = 0.0; }
    else { result = scaled_exp(exp_parts(p, low)); }
  }
  if (x < 0.0) {
    if (!whole) { return nan(); }
    return select(result, -result, odd);
  }
  return result;
}`,
  pow_i: `fn pow_i(x: i32, y: i32) -> i32 {
  if (y < 0i) { return select(select(0i, select(-1i, 1i, (y & 1i) == 0i), x == -1i), 1i, x == 1i); }
  var result = 1i;
  var base = x;
  var n = y;
  while (n != 0i) {
    if ((n & 1i) != 0i) { result = result * base; }
    base = base * base;
    n = n >> 1u;
  }
  return result;
}`,
  div_i: 'fn div_i(a: i32, b: i32) -> i32 { return select(a / select(b, 1i, b == 0i), 0i, b == 0i); }',
  // Towards zero, saturating; NaN gives 0.
  f32_to_i32: `fn f32_to_i32(x: f32) -> i32 {
  if (is_nan(x)) { return 0i; }
  if (x >= 2147483648.0) { return 2147483647i; }
  if (x <= -2147483648.0) { return bitcast<i32>(0x80000000u); }
  return i32(x);
}`,
  threefry: `fn threefry_mix(a: vec2<u32>, r: u32) -> vec2<u32> {
  let x = a.x + a.y;
  return vec2<u32>(x, ((a.y << r) | (a.y >> (32u - r))) ^ x);
}
fn threefry(k0: i32, k1: i32, counter: i32) -> vec2<i32> {
  let a = bitcast<u32>(k0);
  let b = bitcast<u32>(k1);
  let c = a ^ b ^ 0x1bd11bdau;
  var v = vec2<u32>(bitcast<u32>(counter) + a, b);
  v = threefry_mix(threefry_mix(threefry_mix(threefry_mix(v, 13u), 15u), 26u), 6u) + vec2<u32>(b, c + 1u);
  v = threefry_mix(threefry_mix(threefry_mix(threefry_mix(v, 17u), 29u), 16u), 24u) + vec2<u32>(c, a + 2u);
  v = threefry_mix(threefry_mix(threefry_mix(threefry_mix(v, 13u), 15u), 26u), 6u) + vec2<u32>(a, b + 3u);
  v = threefry_mix(threefry_mix(threefry_mix(threefry_mix(v, 17u), 29u), 16u), 24u) + vec2<u32>(b, c + 4u);
  v = threefry_mix(threefry_mix(threefry_mix(threefry_mix(v, 13u), 15u), 26u), 6u) + vec2<u32>(c, a + 5u);
  return bitcast<vec2<i32>>(v);
}`,

  // Half-precision storage: two elements a word, the first in the low half.
  from_bfloat16: 'fn from_bfloat16(h: u32) -> f32 { return bitcast<f32>(h << 16u); }',
  to_bfloat16: `fn to_bfloat16(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  return select((u + 0x7fffu + ((u >> 16u) & 1u)) >> 16u, (u >> 16u) | 0x40u, (u & 0x7fffffffu) > 0x7f800000u);
}`,
  from_float16: `fn from_float16(h: u32) -> f32 {
  let magnitude = h & 0x7fffu;
  let sign = (h & 0x8000u) << 16u;
  let normal = (magnitude << 13u) + 0x38000000u;
  let tiny = bitcast<u32>(f32(magnitude) * 5.9604644775390625e-8);
  let special = (magnitude << 13u) | 0x7f800000u;
  return bitcast<f32>(sign | select(select(normal, special, magnitude >= 0x7c00u), tiny, magnitude < 0x0400u));
}`,
  to_float16: `fn to_float16(x: f32) -> u32 {
  let u = bitcast<u32>(x);
  let sign = (u >> 16u) & 0x8000u;
  let magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return sign | 0x7e00u; }
  if (magnitude >= 0x477ff000u) { return sign | 0x7c00u; }
  if (magnitude < 0x38800000u) {
    // Units of 2^-24: adding and subtracting 2^23 rounds to nearest even, but a compiler may fold it, so by hand.
    let units = abs(x) * 16777216.0;
    let whole = floor(units);
    let rest = units - whole;
    let n = u32(whole);
    return sign | (n + select(0u, 1u, rest > 0.5 || (rest == 0.5 && (n & 1u) == 1u)));
  }
  return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u);
}`,
};

/** The text of every library function that `text` calls, directly or through others, each once. */
export function neededFunctions(text: string): string {
  const found = new Map<string, string>();
  const visit = (source: string): void => {
    for (const [, name] of source.matchAll(/\b([a-z_][a-z0-9_]*)\(/g)) {
      if (!Object.hasOwn(functions, name) || found.has(name)) continue;
      found.set(name, functions[name]);
      visit(functions[name]);
    }
  };
  visit(text);
  return [...found.values()].join('\n');
}
