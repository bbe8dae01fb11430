import { madd, loadLanes, storeLanes, zero } from '../vector';
import { address, field, optional, sliceBegin, useful } from '../slicing';
import { anyReset, reachBack, transposeWeights } from './taps';

/** Multiply-adds that pay for one more thread. */
@inline const GRAIN: i64 = 16_000;

/**
 * y_t = bias + sum_j weight_j x_{t-(width-1)+j}, channels in the lanes. Every row adds its taps in the order of j,
 * whichever path it takes.
 *
 * Parameters: 0 x, 1 weight, 2 bias, 3 initial, 4 resets, 5 y, 6 batch, 7 length, 8 channels, 9 width, 10 workspaces,
 * 11 bytes of one, 12 their number.
 */
export function causalConv1d(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 6), length = field(params, 7), channels = field(params, 8), width = field(params, 9);
  const total = batch * length;
  threads = useful(min(threads, field(params, 12)), <i64>total * <i64>channels * <i64>width, GRAIN);
  if (tid >= threads || total == 0 || channels == 0) return;
  const weights = address(params, 10) + <usize>tid * address(params, 11);
  transposeWeights(address(params, 1), channels, width, weights);
  const end = sliceBegin(total, tid + 1, threads);
  for (let row = sliceBegin(total, tid, threads); row < end;) {
    const b = row / length;
    const t = row - b * length;
    const stop = min(length, t + end - row);
    convolveSequence(params, weights, b, t, stop);
    row += stop - t;
  }
}

/** Steps [t, end) of sequence b. */
function convolveSequence(params: usize, weights: usize, b: i32, t: i32, end: i32): void {
  const length = field(params, 7), channels = field(params, 8), width = field(params, 9);
  const line = <usize>channels << 2;
  const x = address(params, 0) + <usize>(b * length) * line;
  const y = address(params, 5) + <usize>(b * length) * line;
  const bias = address(params, 2);
  const initial = optional(params, 3, <usize>(b * (width - 1)) * line);
  const resets = optional(params, 4, (<usize>(b * length) << 2));
  const whole = channels & ~3;
  while (t < end) {
    const first = t - (width - 1);
    if (first >= 0 && t + 4 <= end && !anyReset(resets, first + 1, t + 4)) {
      fourRows(width, whole, x + <usize>first * line, line, weights, channels, bias, y + <usize>t * line);
      if (whole < channels) {
        for (let r = t; r < t + 4; r++) {
          oneRow(width, width - 1, r, whole, channels, x, initial, line, weights, bias, y);
        }
      }
      t += 4;
    } else {
      oneRow(width, reachBack(resets, t, width - 1), t, 0, channels, x, initial, line, weights, bias, y);
      t++;
    }
  }
}

/** Four rows whose taps all exist; x: the first row's first tap. */
function fourRows(
  width: i32, channels: i32, x: usize, line: usize, weights: usize, allChannels: i32, bias: usize, y: usize,
): void {
  const next = <usize>((allChannels + 3) & ~3) << 2;
  for (let c = 0; c < channels; c += 4) {
    const offset = <usize>c << 2;
    let s0 = bias != 0 ? v128.load(bias + offset) : zero();
    let s1 = s0, s2 = s0, s3 = s0;
    let at = x + offset, w = weights + offset;
    let x0 = v128.load(at), x1 = v128.load(at + line), x2 = v128.load(at + line * 2);
    at += line * 3;
    for (let j = 0; j < width; j++) {
      const x3 = v128.load(at), tap = v128.load(w);
      s0 = madd(tap, x0, s0);
      s1 = madd(tap, x1, s1);
      s2 = madd(tap, x2, s2);
      s3 = madd(tap, x3, s3);
      x0 = x1;
      x1 = x2;
      x2 = x3;
      at += line;
      w += next;
    }
    const out = y + offset;
    v128.store(out, s0);
    v128.store(out + line, s1);
    v128.store(out + line * 2, s2);
    v128.store(out + line * 3, s3);
  }
}

/**
 * Row t, channels [from, channels), with taps that reach back at most `reach` steps, into `initial` before the start.
 */
function oneRow(
  width: i32, reach: i32, t: i32, from: i32, channels: i32,
  x: usize, initial: usize, line: usize, weights: usize, bias: usize, y: usize,
): void {
  const next = <usize>((channels + 3) & ~3) << 2;
  const start = initial == 0 ? min(reach, t) : reach;
  for (let c = from; c < channels; c += 4) {
    const offset = <usize>c << 2;
    const lanes = channels - c;
    let sum = bias != 0 ? loadLanes(bias + offset, lanes) : zero();
    for (let d = start; d >= 0; d--) {
      const source = d <= t ? x + <usize>(t - d) * line : initial + <usize>(width - 1 + t - d) * line;
      sum = madd(v128.load(weights + <usize>(width - 1 - d) * next + offset), loadLanes(source + offset, lanes), sum);
    }
    storeLanes(y + <usize>t * line + offset, sum, lanes);
  }
}
