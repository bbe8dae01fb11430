import { madd, loadLanes, storeLanes, zero } from '../vector';
import { address, field, optional, sliceBegin, ceilDiv, useful } from '../slicing';
import { anyReset, reachBack, transposeWeights } from './taps';

/** Multiply-adds that pay for one more thread. */
@inline const GRAIN: i64 = 16_000;
/** Rows whose values stay in the L1 cache while all channels and taps pass over them. */
@inline const CHUNK: i32 = 16;

/*
 * Parameters: 0 gradY, 1 x, 2 weight, 3 initial, 4 resets, 5 gradX, 6 gradWeight, 7 gradBias, 8 gradInitial, 9 batch,
 * 10 length, 11 channels, 12 width, 13 workspaces, 14 bytes of one, 15 their number, 16 partial sums (slices, width +
 * 1, channels rounded up to 4), 17 slices.
 *
 * The sums over all rows are cut into slices that depend on the sizes only; causalConv1dReduce adds them up in order.
 */
@inline function count(params: usize, threads: i32): i32 {
  const work = <i64>field(params, 9) * <i64>field(params, 10) * <i64>field(params, 11) * <i64>field(params, 12);
  return useful(min(threads, field(params, 15)), work, GRAIN);
}

/** gradX, gradInitial, and the partial sums of gradWeight and gradBias. */
export function causalConv1dBackward(params: usize, tid: i32, threads: i32): void {
  threads = count(params, threads);
  const batch = field(params, 9), length = field(params, 10), channels = field(params, 11), width = field(params, 12);
  if (tid >= threads || channels == 0) return;
  const weights = address(params, 13) + <usize>tid * address(params, 14);
  transposeWeights(address(params, 2), channels, width, weights);

  // Rows before the start are those of gradInitial.
  const rows = length + width - 1;
  const end = sliceBegin(batch * rows, tid + 1, threads);
  for (let row = sliceBegin(batch * rows, tid, threads); row < end;) {
    const b = row / rows;
    const s = row - b * rows;
    const stop = min(rows, s + end - row);
    gradientOfInput(params, weights, b, s - (width - 1), stop - (width - 1));
    row += stop - s;
  }

  const slices = field(params, 17), total = batch * length;
  const size = (<usize>(width + 1) * ((channels + 3) & ~3)) << 2;
  const endSlice = sliceBegin(slices, tid + 1, threads);
  for (let slice = sliceBegin(slices, tid, threads); slice < endSlice; slice++) {
    const sums = address(params, 16) + <usize>slice * size;
    memory.fill(sums, 0, size);
    const stop = sliceBegin(total, slice + 1, slices);
    for (let row = sliceBegin(total, slice, slices); row < stop;) {
      const b = row / length;
      const t = row - b * length;
      const last = min(min(length, t + stop - row), t + CHUNK);
      addWeightGradients(params, sums, b, t, last);
      row += last - t;
    }
  }
}

/** Adds up the slices: channels are shared among the threads. */
export function causalConv1dReduce(params: usize, tid: i32, threads: i32): void {
  const channels = field(params, 11), width = field(params, 12), slices = field(params, 17);
  const quads = ceilDiv(channels, 4);
  threads = useful(threads, <i64>slices * <i64>quads * <i64>(width + 1), 4096);
  if (tid >= threads) return;
  const next = <usize>quads << 4;
  const size = next * (width + 1);
  const end = sliceBegin(quads, tid + 1, threads);
  for (let quad = sliceBegin(quads, tid, threads); quad < end; quad++) {
    const lanes = min(channels - quad * 4, 4);
    for (let j = 0; j <= width; j++) {
      let at = address(params, 16) + <usize>j * next + (<usize>quad << 4);
      let sum = zero();
      for (let slice = 0; slice < slices; slice++) {
        sum = f32x4.add(sum, v128.load(at));
        at += size;
      }
      if (j == width) {
        storeLanes(address(params, 7) + (<usize>quad << 4), sum, lanes);
        continue;
      }
      const target = address(params, 6) + (<usize>(quad * 4 * width + j) << 2);
      const step = <usize>width << 2;
      store<f32>(target, f32x4.extract_lane(sum, 0));
      if (lanes > 1) store<f32>(target + step, f32x4.extract_lane(sum, 1));
      if (lanes > 2) store<f32>(target + step * 2, f32x4.extract_lane(sum, 2));
      if (lanes > 3) store<f32>(target + step * 3, f32x4.extract_lane(sum, 3));
    }
  }
}

/** gradX_s = sum_d weight_{width-1-d} gradY_{s+d} for s in [s, end); negative s are rows of gradInitial. */
function gradientOfInput(params: usize, weights: usize, b: i32, s: i32, end: i32): void {
  const length = field(params, 10), channels = field(params, 11), width = field(params, 12);
  const line = <usize>channels << 2;
  const gradY = address(params, 0) + <usize>(b * length) * line;
  const gradX = address(params, 5) + <usize>(b * length) * line;
  const gradInitial = address(params, 8) + <usize>(b * (width - 1)) * line;
  const resets = optional(params, 4, (<usize>(b * length) << 2));
  const whole = channels & ~3;
  for (; s < min(end, 0); s++) {
    const target = gradInitial + <usize>(width - 1 + s) * line;
    if (address(params, 3) == 0) memory.fill(target, 0, line);
    else gradientRow(width, s, length, 0, channels, gradY, resets, line, weights, target);
  }
  while (s < end) {
    const target = gradX + <usize>s * line;
    if (s + 4 <= end && s + 3 + width <= length && !anyReset(resets, s + 1, s + 3 + width)) {
      gradientOfFour(width, whole, gradY + <usize>s * line, line, weights, channels, target);
      if (whole < channels) {
        for (let r = 0; r < 4; r++) {
          const row = target + <usize>r * line;
          gradientRow(width, s + r, length, whole, channels, gradY, resets, line, weights, row);
        }
      }
      s += 4;
    } else {
      gradientRow(width, s, length, 0, channels, gradY, resets, line, weights, target);
      s++;
    }
  }
}

function gradientOfFour(
  width: i32, channels: i32, gradY: usize, line: usize, weights: usize, allChannels: i32, target: usize,
): void {
  const next = <usize>((allChannels + 3) & ~3) << 2;
  for (let c = 0; c < channels; c += 4) {
    const offset = <usize>c << 2;
    let s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
    let at = gradY + offset, w = weights + offset + <usize>(width - 1) * next;
    let g0 = v128.load(at), g1 = v128.load(at + line), g2 = v128.load(at + line * 2);
    at += line * 3;
    for (let d = 0; d < width; d++) {
      const g3 = v128.load(at), tap = v128.load(w);
      s0 = madd(tap, g0, s0);
      s1 = madd(tap, g1, s1);
      s2 = madd(tap, g2, s2);
      s3 = madd(tap, g3, s3);
      g0 = g1;
      g1 = g2;
      g2 = g3;
      at += line;
      w -= next;
    }
    const out = target + offset;
    v128.store(out, s0);
    v128.store(out + line, s1);
    v128.store(out + line * 2, s2);
    v128.store(out + line * 3, s3);
  }
}

function gradientRow(
  width: i32, s: i32, length: i32, from: i32, channels: i32,
  gradY: usize, resets: usize, line: usize, weights: usize, target: usize,
): void {
  const next = <usize>((channels + 3) & ~3) << 2;
  // Steps that see row s: none behind the first reset after it, none behind the end.
  let last = min(width - 1, length - 1 - s);
  for (let d = max(1, -s); d <= last && resets != 0; d++) {
    if (load<i32>(resets + (<usize>(s + d) << 2)) != 0) last = d - 1;
  }
  for (let c = from; c < channels; c += 4) {
    const offset = <usize>c << 2;
    const lanes = channels - c;
    let sum = zero();
    for (let d = max(0, -s); d <= last; d++) {
      const g = loadLanes(gradY + <usize>(s + d) * line + offset, lanes);
      sum = madd(v128.load(weights + <usize>(width - 1 - d) * next + offset), g, sum);
    }
    storeLanes(target + offset, sum, lanes);
  }
}

/** Adds steps [t, end) of sequence b to the sums of gradWeight (width, channels) and, behind them, gradBias. */
function addWeightGradients(params: usize, sums: usize, b: i32, t: i32, end: i32): void {
  const length = field(params, 10), channels = field(params, 11), width = field(params, 12);
  const line = <usize>channels << 2, next = <usize>((channels + 3) & ~3) << 2;
  const gradY = address(params, 0) + <usize>(b * length) * line;
  const x = address(params, 1) + <usize>(b * length) * line;
  const initial = optional(params, 3, <usize>(b * (width - 1)) * line);
  const resets = optional(params, 4, (<usize>(b * length) << 2));
  const biasSums = sums + <usize>width * next;
  const first = t - (width - 1);
  const whole = first >= 0 && !anyReset(resets, first + 1, end) ? channels & ~3 : 0;
  for (let c = 0; c < whole; c += 4) {
    const offset = <usize>c << 2;
    let bias = v128.load(biasSums + offset);
    for (let r = t; r < end; r++) bias = f32x4.add(bias, v128.load(gradY + <usize>r * line + offset));
    v128.store(biasSums + offset, bias);
    const source = x + <usize>first * line + offset, from = gradY + <usize>t * line + offset;
    for (let j = 0; j < width; j += 4) {
      const at = sums + <usize>j * next + offset, tap = source + <usize>j * line;
      const taps = width - j;
      if (taps > 3) addTaps(4, at, next, tap, from, line, end - t);
      else if (taps == 3) addTaps(3, at, next, tap, from, line, end - t);
      else if (taps == 2) addTaps(2, at, next, tap, from, line, end - t);
      else addTaps(1, at, next, tap, from, line, end - t);
    }
  }
  if (whole == channels) return;
  for (let r = t; r < end; r++) {
    const reach = reachBack(resets, r, width - 1);
    const start = initial == 0 ? min(reach, r) : reach;
    for (let c = whole; c < channels; c += 4) {
      const offset = <usize>c << 2;
      const lanes = channels - c;
      const g = loadLanes(gradY + <usize>r * line + offset, lanes);
      v128.store(biasSums + offset, f32x4.add(v128.load(biasSums + offset), g));
      for (let d = start; d >= 0; d--) {
        const source = d <= r ? x + <usize>(r - d) * line : initial + <usize>(width - 1 + r - d) * line;
        const at = sums + <usize>(width - 1 - d) * next + offset;
        v128.store(at, madd(g, loadLanes(source + offset, lanes), v128.load(at)));
      }
    }
  }
}

/** Sums of one to four neighbouring taps over `rows` rows; x: the first row's first of these taps. */
@inline function addTaps(taps: i32, sums: usize, next: usize, x: usize, gradY: usize, line: usize, rows: i32): void {
  let s0 = v128.load(sums), s1 = zero(), s2 = zero(), s3 = zero();
  // The steps under the taps, but the last one, move on with the row.
  let x0 = zero(), x1 = zero(), x2 = zero();
  if (taps > 1) { s1 = v128.load(sums + next); x0 = v128.load(x); x += line; }
  if (taps > 2) { s2 = v128.load(sums + next * 2); x1 = v128.load(x); x += line; }
  if (taps > 3) { s3 = v128.load(sums + next * 3); x2 = v128.load(x); x += line; }
  for (; rows > 0; rows--) {
    const g = v128.load(gradY), last = v128.load(x);
    s0 = madd(g, taps > 1 ? x0 : last, s0);
    if (taps > 1) s1 = madd(g, taps > 2 ? x1 : last, s1);
    if (taps > 2) s2 = madd(g, taps > 3 ? x2 : last, s2);
    if (taps > 3) s3 = madd(g, last, s3);
    x0 = taps > 2 ? x1 : last;
    x1 = taps > 3 ? x2 : last;
    x2 = last;
    gradY += line;
    x += line;
  }
  v128.store(sums, s0);
  if (taps > 1) v128.store(sums + next, s1);
  if (taps > 2) v128.store(sums + next * 2, s2);
  if (taps > 3) v128.store(sums + next * 3, s3);
}
