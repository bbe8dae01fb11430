// float32x4 building blocks.

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

/** Sum of the lanes, in one fixed order. */
@inline export function laneSum(v: v128): f32 {
  const pairs = f32x4.add(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Reads 1 to 4 floats; missing lanes are 0. Never touches memory behind them. */
export function loadLanes(at: usize, lanes: i32): v128 {
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
