// The innermost loop of the convolution term by term, channels in the lanes.
import { madd, zero } from '../vector';

/** Outputs per tile: enough chains of additions to hide their latency, few enough for the registers. */
@inline export const TILE: i32 = 8;

/**
 * One tile of neighbouring outputs: out_i = sum of kernel_j u_{i-j} over j in [0, terms), on top of what is there if
 * `add`. `terms` is a multiple of 2; steps u - terms + 1 to u + TILE - 1 are read. Measured for tiles of outputs x
 * terms, in multiply-adds per ns with and without fused multiply-add: 8 x 2 26 and 22, 8 x 4 18 and 20, 12 x 2 19 and
 * 15.
 */
export function convolveTile(u: usize, kernel: usize, terms: i32, out: usize, add: bool): void {
  let y0 = zero(), y1 = zero(), y2 = zero(), y3 = zero(), y4 = zero(), y5 = zero(), y6 = zero(), y7 = zero();
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
    y7 = madd(k0, x, y7);
    u -= 32;
    kernel += 32;
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
