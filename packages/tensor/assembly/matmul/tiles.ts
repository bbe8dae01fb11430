// The innermost loops: one tile of C = A B, over k terms.
//
// Element (i, p) of A lies at a + i * aRow + p * aStep, so that one routine reads A row by row (aStep 4), transposed,
// or packed. B gives eight (or four) neighbouring columns per term, bStep bytes apart. All sums run over p in order:
// the tile an element falls into doesn't change it. The tile height fits the 16 vector registers of x64: 6 x 8 with
// fused multiply-add, 4 x 8 where the product needs a register of its own.
import { madd, zero } from '../vector';

/** Rows of a full tile. */
@inline export const ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;

export function tile6x8(
  k: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, c: usize, cRow: usize, add: bool,
): void {
  const r1 = aRow, r2 = aRow * 2, r3 = aRow * 3, r4 = aRow * 4, r5 = aRow * 5;
  let c00 = zero(), c01 = zero(), c10 = zero(), c11 = zero(), c20 = zero(), c21 = zero();
  let c30 = zero(), c31 = zero(), c40 = zero(), c41 = zero(), c50 = zero(), c51 = zero();
  for (const end = a + k * aStep; a != end; a += aStep) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00); c01 = madd(a0, b1, c01);
    const a1 = v128.load32_splat(a + r1);
    c10 = madd(a1, b0, c10); c11 = madd(a1, b1, c11);
    const a2 = v128.load32_splat(a + r2);
    c20 = madd(a2, b0, c20); c21 = madd(a2, b1, c21);
    const a3 = v128.load32_splat(a + r3);
    c30 = madd(a3, b0, c30); c31 = madd(a3, b1, c31);
    const a4 = v128.load32_splat(a + r4);
    c40 = madd(a4, b0, c40); c41 = madd(a4, b1, c41);
    const a5 = v128.load32_splat(a + r5);
    c50 = madd(a5, b0, c50); c51 = madd(a5, b1, c51);
    b += bStep;
  }
  storePair(c, c00, c01, add);
  storePair(c + cRow, c10, c11, add);
  storePair(c + cRow * 2, c20, c21, add);
  storePair(c + cRow * 3, c30, c31, add);
  storePair(c + cRow * 4, c40, c41, add);
  storePair(c + cRow * 5, c50, c51, add);
}

export function tile4x8(
  k: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, c: usize, cRow: usize, add: bool,
): void {
  const r1 = aRow, r2 = aRow * 2, r3 = aRow * 3;
  let c00 = zero(), c01 = zero(), c10 = zero(), c11 = zero(), c20 = zero(), c21 = zero(), c30 = zero(), c31 = zero();
  for (const end = a + k * aStep; a != end; a += aStep) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = madd(a0, b0, c00); c01 = madd(a0, b1, c01);
    const a1 = v128.load32_splat(a + r1);
    c10 = madd(a1, b0, c10); c11 = madd(a1, b1, c11);
    const a2 = v128.load32_splat(a + r2);
    c20 = madd(a2, b0, c20); c21 = madd(a2, b1, c21);
    const a3 = v128.load32_splat(a + r3);
    c30 = madd(a3, b0, c30); c31 = madd(a3, b1, c31);
    b += bStep;
  }
  storePair(c, c00, c01, add);
  storePair(c + cRow, c10, c11, add);
  storePair(c + cRow * 2, c20, c21, add);
  storePair(c + cRow * 3, c30, c31, add);
}

export function tile6x4(
  k: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, c: usize, cRow: usize, add: bool,
): void {
  const r1 = aRow, r2 = aRow * 2, r3 = aRow * 3, r4 = aRow * 4, r5 = aRow * 5;
  let c0 = zero(), c1 = zero(), c2 = zero(), c3 = zero(), c4 = zero(), c5 = zero();
  for (const end = a + k * aStep; a != end; a += aStep) {
    const b0 = v128.load(b);
    c0 = madd(v128.load32_splat(a), b0, c0);
    c1 = madd(v128.load32_splat(a + r1), b0, c1);
    c2 = madd(v128.load32_splat(a + r2), b0, c2);
    c3 = madd(v128.load32_splat(a + r3), b0, c3);
    c4 = madd(v128.load32_splat(a + r4), b0, c4);
    c5 = madd(v128.load32_splat(a + r5), b0, c5);
    b += bStep;
  }
  storeOne(c, c0, add);
  storeOne(c + cRow, c1, add);
  storeOne(c + cRow * 2, c2, add);
  storeOne(c + cRow * 3, c3, add);
  storeOne(c + cRow * 4, c4, add);
  storeOne(c + cRow * 5, c5, add);
}

export function tile4x4(
  k: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, c: usize, cRow: usize, add: bool,
): void {
  const r1 = aRow, r2 = aRow * 2, r3 = aRow * 3;
  let c0 = zero(), c1 = zero(), c2 = zero(), c3 = zero();
  for (const end = a + k * aStep; a != end; a += aStep) {
    const b0 = v128.load(b);
    c0 = madd(v128.load32_splat(a), b0, c0);
    c1 = madd(v128.load32_splat(a + r1), b0, c1);
    c2 = madd(v128.load32_splat(a + r2), b0, c2);
    c3 = madd(v128.load32_splat(a + r3), b0, c3);
    b += bStep;
  }
  storeOne(c, c0, add);
  storeOne(c + cRow, c1, add);
  storeOne(c + cRow * 2, c2, add);
  storeOne(c + cRow * 3, c3, add);
}

@inline function storeOne(at: usize, value: v128, add: bool): void {
  v128.store(at, add ? f32x4.add(value, v128.load(at)) : value);
}

@inline function storePair(at: usize, left: v128, right: v128, add: bool): void {
  if (add) {
    left = f32x4.add(left, v128.load(at));
    right = f32x4.add(right, v128.load(at, 16));
  }
  v128.store(at, left);
  v128.store(at, right, 16);
}
