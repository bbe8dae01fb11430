import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';
import { loadLanes, storeLanes } from '../vector';

/** Floats that pay for one more thread. */
@inline const GRAIN: i64 = 8_192;

/**
 * Running sums along the middle axis of (rows, length, width), from its end if asked. They are kept in float64: an
 * error of float32 would grow with the length. Parameters: 0 x, 1 y, 2 rows, 3 length, 4 width, 5 reverse.
 */
export function cumsum(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 2), length = field(params, 3), width = field(params, 4);
  threads = useful(threads, <i64>rows * <i64>length * <i64>width, GRAIN);
  if (tid >= threads || length == 0 || width == 0) return;
  const size = <usize>length * <usize>width;
  const reverse = field(params, 5) != 0;
  const start: usize = reverse ? (size - <usize>width) << 2 : 0;
  const line = <usize>width << 2;
  const step: usize = reverse ? 0 - line : line;
  if (width == 1) {
    const end = sliceBegin(rows, tid + 1, threads);
    let row = sliceBegin(rows, tid, threads);
    // Four rows at once hide the latency of the additions.
    for (; row + 4 <= end; row += 4) {
      const offset = ((<usize>row * size) << 2) + start;
      sumFourRows(address(params, 0) + offset, address(params, 1) + offset, size << 2, step, length);
    }
    for (; row < end; row++) {
      const offset = ((<usize>row * size) << 2) + start;
      sumRow(address(params, 0) + offset, address(params, 1) + offset, step, length);
    }
    return;
  }
  const cells = ceilDiv(width, 16);
  const end = sliceBegin(rows * cells, tid + 1, threads);
  for (let unit = sliceBegin(rows * cells, tid, threads); unit < end; unit++) {
    const row = unit / cells, cell = unit - row * cells;
    const last = min(cell * 16 + 16, width);
    for (let column = cell * 16; column < last; column += 4) {
      const offset = ((<usize>row * size + <usize>column) << 2) + start;
      sumColumns(address(params, 0) + offset, address(params, 1) + offset, step, length, last - column);
    }
  }
}

function sumColumns(x: usize, y: usize, step: usize, length: i32, lanes: i32): void {
  let low = f64x2.splat(0), high = f64x2.splat(0);
  if (lanes >= 4) {
    for (let t = 0; t < length; t++) {
      const v = v128.load(x);
      low = f64x2.add(low, f64x2.promote_low_f32x4(v));
      high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
      v128.store(y, v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5));
      x += step;
      y += step;
    }
    return;
  }
  for (let t = 0; t < length; t++) {
    const v = loadLanes(x, lanes);
    low = f64x2.add(low, f64x2.promote_low_f32x4(v));
    high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3)));
    storeLanes(y, v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5), lanes);
    x += step;
    y += step;
  }
}

function sumRow(x: usize, y: usize, step: usize, length: i32): void {
  let sum: f64 = 0;
  for (let t = 0; t < length; t++) {
    sum += <f64>load<f32>(x);
    store<f32>(y, <f32>sum);
    x += step;
    y += step;
  }
}

function sumFourRows(x: usize, y: usize, row: usize, step: usize, length: i32): void {
  let s0: f64 = 0, s1: f64 = 0, s2: f64 = 0, s3: f64 = 0;
  const r2 = row * 2, r3 = row * 3;
  for (let t = 0; t < length; t++) {
    s0 += <f64>load<f32>(x);
    s1 += <f64>load<f32>(x + row);
    s2 += <f64>load<f32>(x + r2);
    s3 += <f64>load<f32>(x + r3);
    store<f32>(y, <f32>s0);
    store<f32>(y + row, <f32>s1);
    store<f32>(y + r2, <f32>s2);
    store<f32>(y + r3, <f32>s3);
    x += step;
    y += step;
  }
}
