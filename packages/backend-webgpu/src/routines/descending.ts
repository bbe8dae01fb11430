/**
 * WGSL: a u32 that orders floats as sort and argmax do: larger numbers have larger keys, NaN the largest, -0 and 0 the same.
 */
export const orderKey = `fn order_key(x: f32) -> u32 {
  if (is_nan(x)) { return 0xffffffffu; }
  let u = select(bitcast<u32>(x), 0u, x == 0.0);
  return select(u | 0x80000000u, ~u, (u & 0x80000000u) != 0u);
}`;
