// The innermost loop of the convolution term by term: one tile of neighbouring outputs, out_i = sum of kernel_j u_{i-j} over j in [0, terms), on
// top of what is there if `add`. Channels in the lanes, steps and terms as vectors.
import { madd, zero } from '../vector';

/**
 * Outputs per tile. Each is one chain of additions, and there must be enough chains to hide their latency; with fused multiply-add 12 do (8 reach
 * two thirds of the speed), without it 8 do, and more would not fit the registers.
 */
@inline export const TILE: i32 = ASC_FEATURE_RELAXED_SIMD ? 12 : 8;

/** `terms` is a multiple of 4; steps from u - terms + 1 to u + TILE - 1 are read. */
@inline export function convolveTile(u: usize, kernel: usize, terms: i32, out: usize, add: bool): void {
  if (TILE == 12) tile12(u, kernel, terms, out, add);
  else tile8(u, kernel, terms, out, add);
}

/** Two terms at a time. */
function tile12(u: usize, kernel: usize, terms: i32, out: usize, add: bool): void {
  let y0 = zero(), y1 = zero(), y2 = zero(), y3 = zero(), y4 = zero(), y5 = zero(), y6 = zero(), y7 = zero();
  let y8 = zero(), y9 = zero(), y10 = zero(), y11 = zero();
  for (; terms > 0; terms -= 2) {
    const k0 = v128.load(kernel), k1 = v128.load(kernel, 16);
    const first = u - 16;
    let x = v128.load(first);
    y0 = madd(k1, x, y0);
    x = v128.load(first, 16);
    y0 = madd(k0, x, y0); y1 = madd(k1, x, y1);
    x = v128.load(first, 32);
    y1 = madd(k0, x, y1); y2 = madd(k1, x, y2);
    x = v128.load(first, 48);
    y2 = madd(k0, x, y2); y3 = madd(k1, x, y3);
    x = v128.load(first, 64);
    y3 = madd(k0, x, y3); y4 = madd(k1, x, y4);
    x = v128.load(first, 80);
    y4 = madd(k0, x, y4); y5 = madd(k1, x, y5);
    x = v128.load(first, 96);
    y5 = madd(k0, x, y5); y6 = madd(k1, x, y6);
    x = v128.load(first, 112);
    y6 = madd(k0, x, y6); y7 = madd(k1, x, y7);
    x = v128.load(first, 128);
    y7 = madd(k0, x, y7); y8 = madd(k1, x, y8);
    x = v128.load(first, 144);
    y8 = madd(k0, x, y8); y9 = madd(k1, x, y9);
    x = v128.load(first, 160);
    y9 = madd(k0, x, y9); y10 = madd(k1, x, y10);
    x = v128.load(first, 176);
    y10 = madd(k0, x, y10); y11 = madd(k1, x, y11);
    x = v128.load(first, 192);
    y11 = madd(k0, x, y11);
    u -= 32;
    kernel += 32;
  }
  if (add) {
    y0 = f32x4.add(y0, v128.load(out)); y1 = f32x4.add(y1, v128.load(out, 16));
    y2 = f32x4.add(y2, v128.load(out, 32)); y3 = f32x4.add(y3, v128.load(out, 48));
    y4 = f32x4.add(y4, v128.load(out, 64)); y5 = f32x4.add(y5, v128.load(out, 80));
    y6 = f32x4.add(y6, v128.load(out, 96)); y7 = f32x4.add(y7, v128.load(out, 112));
    y8 = f32x4.add(y8, v128.load(out, 128)); y9 = f32x4.add(y9, v128.load(out, 144));
    y10 = f32x4.add(y10, v128.load(out, 160)); y11 = f32x4.add(y11, v128.load(out, 176));
  }
  v128.store(out, y0); v128.store(out, y1, 16); v128.store(out, y2, 32); v128.store(out, y3, 48);
  v128.store(out, y4, 64); v128.store(out, y5, 80); v128.store(out, y6, 96); v128.store(out, y7, 112);
  v128.store(out, y8, 128); v128.store(out, y9, 144); v128.store(out, y10, 160); v128.store(out, y11, 176);
}

/** Four terms at a time. */
function tile8(u: usize, kernel: usize, terms: i32, out: usize, add: bool): void {
  let y0 = zero(), y1 = zero(), y2 = zero(), y3 = zero(), y4 = zero(), y5 = zero(), y6 = zero(), y7 = zero();
  for (; terms > 0; terms -= 4) {
    const k0 = v128.load(kernel), k1 = v128.load(kernel, 16), k2 = v128.load(kernel, 32), k3 = v128.load(kernel, 48);
    const first = u - 48;
    let x = v128.load(first);
    y0 = madd(k3, x, y0);
    x = v128.load(first, 16);
    y0 = madd(k2, x, y0); y1 = madd(k3, x, y1);
    x = v128.load(first, 32);
    y0 = madd(k1, x, y0); y1 = madd(k2, x, y1); y2 = madd(k3, x, y2);
    x = v128.load(first, 48);
    y0 = madd(k0, x, y0); y1 = madd(k1, x, y1); y2 = madd(k2, x, y2); y3 = madd(k3, x, y3);
    x = v128.load(first, 64);
    y1 = madd(k0, x, y1); y2 = madd(k1, x, y2); y3 = madd(k2, x, y3); y4 = madd(k3, x, y4);
    x = v128.load(first, 80);
    y2 = madd(k0, x, y2); y3 = madd(k1, x, y3); y4 = madd(k2, x, y4); y5 = madd(k3, x, y5);
    x = v128.load(first, 96);
    y3 = madd(k0, x, y3); y4 = madd(k1, x, y4); y5 = madd(k2, x, y5); y6 = madd(k3, x, y6);
    x = v128.load(first, 112);
    y4 = madd(k0, x, y4); y5 = madd(k1, x, y5); y6 = madd(k2, x, y6); y7 = madd(k3, x, y7);
    x = v128.load(first, 128);
    y5 = madd(k0, x, y5); y6 = madd(k1, x, y6); y7 = madd(k2, x, y7);
    x = v128.load(first, 144);
    y6 = madd(k0, x, y6); y7 = madd(k1, x, y7);
    x = v128.load(first, 160);
    y7 = madd(k0, x, y7);
    u -= 64;
    kernel += 64;
  }
  if (add) {
    y0 = f32x4.add(y0, v128.load(out)); y1 = f32x4.add(y1, v128.load(out, 16));
    y2 = f32x4.add(y2, v128.load(out, 32)); y3 = f32x4.add(y3, v128.load(out, 48));
    y4 = f32x4.add(y4, v128.load(out, 64)); y5 = f32x4.add(y5, v128.load(out, 80));
    y6 = f32x4.add(y6, v128.load(out, 96)); y7 = f32x4.add(y7, v128.load(out, 112));
  }
  v128.store(out, y0); v128.store(out, y1, 16); v128.store(out, y2, 32); v128.store(out, y3, 48);
  v128.store(out, y4, 64); v128.store(out, y5, 80); v128.store(out, y6, 96); v128.store(out, y7, 112);
}
