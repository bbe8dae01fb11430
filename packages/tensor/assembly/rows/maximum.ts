/**
 * Largest of `count` floats, NaN if there is one, -infinity of none. (f32x4.max has to treat NaN and -0 itself: 8
 * instructions on x64.)
 */
export function maximum(x: usize, count: i32): f32 {
  let a = f32x4.splat(-Infinity), b = a;
  let unordered = i32x4.splat(0);
  const end = x + (<usize>(count & ~7) << 2);
  for (; x != end; x += 32) {
    const u = v128.load(x), v = v128.load(x, 16);
    // A NaN in either sets the lane.
    unordered = v128.or(unordered, v128.or(f32x4.ne(u, u), f32x4.ne(v, v)));
    a = f32x4.pmax(a, u);
    b = f32x4.pmax(b, v);
  }
  if (v128.any_true(unordered)) return NaN;
  a = f32x4.pmax(a, b);
  let max = Mathf.max(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1));
  max = Mathf.max(max, Mathf.max(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)));
  for (let i = count & 7; i > 0; i--) {
    max = Mathf.max(max, load<f32>(x));
    x += 4;
  }
  return max;
}
