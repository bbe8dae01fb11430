// The long convolution term by term, for short signals and few taps.
import { madd, zero } from '../vector';
import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';
import { clearSteps, gatherSteps, scatterSteps } from './signal';

/** Multiply-adds of vectors that pay for one more thread. */
@inline const GRAIN: i64 = 16_000;
/** Zeros before a signal: a tile of 8 outputs reads up to 11 steps before its first one when the taps end there. */
@inline const BEFORE: i32 = 12;

/**
 * y_t = sum_j kernel_j u_{t-j}; backwards in time where flag 1 is set (the gradient of u).
 *
 * Parameters: 0 u, 1 kernel, 2 y, 3 batch, 4 length, 5 channels, 6 taps (at most length), 7 flags, 8 workspaces, 9 bytes of one, 10 their number.
 * A workspace holds the kernel (taps rounded up to 4), the signal with zeros around it and the output (both length rounded up to 8).
 */
export function longConvDirect(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const quads = ceilDiv(channels, 4);
  const units = quads * batch;
  threads = useful(min(threads, field(params, 10)), <i64>units * <i64>length * <i64>taps / 2, GRAIN);
  if (tid >= threads || length == 0) return;
  const line = <usize>channels << 2;
  const wholeTaps = (taps + 3) & ~3, wholeLength = (length + 7) & ~7;
  const kernel = address(params, 8) + <usize>tid * address(params, 9);
  const before = kernel + (<usize>wholeTaps << 4);
  const signal = before + (BEFORE << 4);
  const output = signal + (<usize>wholeLength << 4);
  clearSteps(before, BEFORE);
  const backwards = field(params, 7) != 0;
  const start: usize = backwards ? <usize>(length - 1) * line : 0;
  const step: usize = backwards ? 0 - line : line;
  let kernelOf = -1;
  const end = sliceBegin(units, tid + 1, threads);
  for (let unit = sliceBegin(units, tid, threads); unit < end; unit++) {
    const quad = unit / batch, b = unit - quad * batch;
    const lanes = min(channels - quad * 4, 4);
    const offset = <usize>(b * length) * line + (<usize>quad << 4) + start;
    if (kernelOf != quad) gatherSteps(address(params, 1) + (<usize>quad << 4), line, taps, lanes, kernel, wholeTaps);
    kernelOf = quad;
    gatherSteps(address(params, 0) + offset, step, length, lanes, signal, wholeLength);
    for (let t = 0; t < length; t += 8) {
      const terms = min(wholeTaps, (t + 11) & ~3);
      convolveTile(signal + (<usize>t << 4), kernel, terms, output + (<usize>t << 4), false);
    }
    scatterSteps(output, address(params, 2) + offset, step, length, lanes);
  }
}

/**
 * gradKernel_j = sum over b and t of gradY_t u_{t-j}. Parameters as above, with 0 gradY, 1 u, 2 gradKernel, 13 all taps: those from the length on get 0. A workspace holds gradY (length
 * rounded up to 4), u backwards with zeros around it (12 and 8) and the sums (taps rounded up to 8).
 */
export function longConvDirectKernel(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const quads = ceilDiv(channels, 4);
  threads = useful(min(threads, field(params, 10)), <i64>quads * <i64>batch * <i64>length * <i64>taps / 2, GRAIN);
  if (tid >= threads) return;
  const line = <usize>channels << 2;
  if (tid == 0) memory.fill(address(params, 2) + <usize>taps * line, 0, <usize>(field(params, 13) - taps) * line);
  const wholeLength = (length + 3) & ~3, wholeTaps = (taps + 7) & ~7;
  const gradY = address(params, 8) + <usize>tid * address(params, 9);
  const before = gradY + (<usize>wholeLength << 4);
  const signal = before + (BEFORE << 4);
  const sums = signal + (<usize>(length + 8) << 4);
  clearSteps(before, BEFORE);
  const end = sliceBegin(quads, tid + 1, threads);
  for (let quad = sliceBegin(quads, tid, threads); quad < end; quad++) {
    const lanes = min(channels - quad * 4, 4);
    clearSteps(sums, wholeTaps);
    for (let b = 0; b < batch && length > 0; b++) {
      const offset = <usize>(b * length) * line + (<usize>quad << 4);
      gatherSteps(address(params, 0) + offset, line, length, lanes, gradY, wholeLength);
      gatherSteps(address(params, 1) + offset + <usize>(length - 1) * line, 0 - line, length, lanes, signal, length + 8);
      // With w_{-t} = u_t this is a convolution of gradY with w: gradKernel_j = sum_t gradY_t w_{j-t}. w_0 is the last step of `signal`.
      const origin = signal + (<usize>(length - 1) << 4);
      for (let j = 0; j < taps; j += 8) {
        convolveTile(origin, gradY + (<usize>j << 4), wholeLength - j, sums + (<usize>j << 4), true);
      }
    }
    scatterSteps(sums, address(params, 2) + (<usize>quad << 4), line, taps, lanes);
  }
}

/** Eight outputs: out_i = sum of kernel_j u_{i-j} over j in [0, terms), a multiple of 4; on top of what is there if `add`. */
function convolveTile(u: usize, kernel: usize, terms: i32, out: usize, add: bool): void {
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
