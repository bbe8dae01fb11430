// The long convolution term by term, for short signals and few taps.
import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';
import { clearSteps, gatherSteps, scatterSteps } from './signal';
import { TILE, convolveTile } from './tile';

/** Multiply-adds of vectors that pay for one more thread. */
@inline const GRAIN: i64 = 16_000;
/** Zeros before a signal, for the taps of the first tiles that reach there. */
@inline const BEFORE: i32 = TILE;

/**
 * y_t = sum_j kernel_j u_{t-j}; backwards in time where flag 1 is set (the gradient of u).
 *
 * Parameters: 0 u, 1 kernel, 2 y, 3 batch, 4 length, 5 channels, 6 taps (at most length), 7 flags, 8 workspaces, 9
 * bytes of one, 10 their number. A workspace holds the kernel (taps rounded up to 2), the signal with zeros around it
 * and the output (both length rounded up to TILE).
 */
export function longConvDirect(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const quads = ceilDiv(channels, 4);
  const units = quads * batch;
  threads = useful(min(threads, field(params, 10)), <i64>units * <i64>length * <i64>taps / 2, GRAIN);
  if (tid >= threads || length == 0) return;
  const line = <usize>channels << 2;
  const wholeTaps = (taps + 1) & ~1, wholeLength = ceilDiv(length, TILE) * TILE;
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
    for (let t = 0; t < length; t += TILE) {
      const terms = min(wholeTaps, t + TILE);
      convolveTile(signal + (<usize>t << 4), kernel, terms, output + (<usize>t << 4), false);
    }
    scatterSteps(output, address(params, 2) + offset, step, length, lanes);
  }
}

/**
 * gradKernel_j = sum over b and t of gradY_t u_{t-j}. Parameters as above, with 0 gradY, 1 u, 2 gradKernel, 13 all
 * taps: those from the length on get 0. A workspace holds gradY (length rounded up to 2), u backwards with zeros around
 * it (BEFORE and TILE) and the sums (taps rounded up to TILE).
 */
export function longConvDirectKernel(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), length = field(params, 4), channels = field(params, 5), taps = field(params, 6);
  const quads = ceilDiv(channels, 4);
  threads = useful(min(threads, field(params, 10)), <i64>quads * <i64>batch * <i64>length * <i64>taps / 2, GRAIN);
  if (tid >= threads) return;
  const line = <usize>channels << 2;
  if (tid == 0) memory.fill(address(params, 2) + <usize>taps * line, 0, <usize>(field(params, 13) - taps) * line);
  const wholeLength = (length + 1) & ~1, wholeTaps = ceilDiv(taps, TILE) * TILE;
  const gradY = address(params, 8) + <usize>tid * address(params, 9);
  const before = gradY + (<usize>wholeLength << 4);
  const signal = before + (BEFORE << 4);
  const sums = signal + (<usize>(length + TILE) << 4);
  clearSteps(before, BEFORE);
  const end = sliceBegin(quads, tid + 1, threads);
  for (let quad = sliceBegin(quads, tid, threads); quad < end; quad++) {
    const lanes = min(channels - quad * 4, 4);
    clearSteps(sums, wholeTaps);
    for (let b = 0; b < batch && length > 0; b++) {
      const offset = <usize>(b * length) * line + (<usize>quad << 4);
      gatherSteps(address(params, 0) + offset, line, length, lanes, gradY, wholeLength);
      const last = address(params, 1) + offset + <usize>(length - 1) * line;
      gatherSteps(last, 0 - line, length, lanes, signal, length + TILE);
      // With w_{-t} = u_t this is a convolution of gradY with w: gradKernel_j = sum_t gradY_t w_{j-t}. w_0 is the last
      // step of `signal`.
      const origin = signal + (<usize>(length - 1) << 4);
      for (let j = 0; j < taps; j += TILE) {
        convolveTile(origin, gradY + (<usize>j << 4), wholeLength - j, sums + (<usize>j << 4), true);
      }
    }
    scatterSteps(sums, address(params, 2) + (<usize>quad << 4), line, taps, lanes);
  }
}
