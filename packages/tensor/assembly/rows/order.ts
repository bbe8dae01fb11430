// Floats as integers of the same order: NaN above everything, -0 equal to 0.

@inline export function orderOf(x: f32): i32 {
  if (x != x) return i32.MAX_VALUE;
  const bits = reinterpret<i32>(x + 0);
  return bits ^ <i32>(<u32>(bits >> 31) >> 1);
}

@inline export function orderOfFour(x: v128): v128 {
  const bits = f32x4.add(x, i32x4.splat(0));
  const order = v128.xor(bits, i32x4.shr_u(i32x4.shr_s(bits, 31), 1));
  return v128.bitselect(order, i32x4.splat(i32.MAX_VALUE), f32x4.eq(x, x));
}
