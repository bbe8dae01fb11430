// A few rows against many, both stored row by row: out[i, j] = few[i] . many[j]. For decoding (1 row of x, all rows of
// a transposed weight) and products with a single column. `many` is read once: by one row in streams.ts, by several one
// row of it at a time.
import { FLOAT, shiftOf, widenRow } from '../half';
import { madd, zero, laneSum, loadLanes } from '../vector';
import { address, field, sliceBegin, useful } from '../slicing';
import { dotStreams } from './streams';

/** Multiply-adds that pay for one more thread. */
@inline const GRAIN: i64 = 12_000;

/**
 * Parameters: 0 few, 1 many (count, k), 2 out, 3 workspaces, 4 batch, 5 rows of few, 6 count, 7 k, 8 flag: few is
 * stored (k, rows), 9..11 bytes from one matrix of the batch to the next in few, many, out, 12 and 13 bytes from out[i,
 * j] to out[i + 1, j] and out[i, j + 1], 14 bytes of a workspace, 15 number of workspaces, 16 element type of many, 17
 * offset in the workspace of a row of many in float32.
 */
export function matmulDots(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 4), rows = field(params, 5), count = field(params, 6), k = field(params, 7);
  if (batch == 0 || rows == 0 || count == 0) return;
  threads = useful(min(threads, field(params, 15)), <i64>batch * <i64>rows * <i64>count * <i64>max(k, 1), GRAIN);
  if (tid >= threads) return;
  const outFew = address(params, 12), outMany = address(params, 13);
  const type = field(params, 16), manyLine = <usize>k << shiftOf(type);
  const workspace = address(params, 3) + <usize>tid * address(params, 14), wide = workspace + address(params, 17);
  const total = batch * count;
  const end = sliceBegin(total, tid + 1, threads);
  for (let begin = sliceBegin(total, tid, threads); begin < end;) {
    const matrix = begin / count, first = begin - matrix * count;
    const length = min(count - first, end - begin);
    let few = address(params, 0) + <usize>matrix * address(params, 9);
    if (field(params, 8) != 0) {
      transpose(k, rows, few, workspace);
      few = workspace;
    }
    let many = address(params, 1) + <usize>matrix * address(params, 10) + <usize>first * manyLine;
    let out = address(params, 2) + <usize>matrix * address(params, 11) + <usize>first * outMany;
    begin += length;
    if (rows == 1) {
      dotStreams(k, length, few, many, out, outMany, type);
      continue;
    }
    for (let j = 0; j < length; j++) {
      let row = many;
      if (type != FLOAT) {
        widenRow(k, many, wide, type);
        row = wide;
      }
      dotRows(rows, k, few, row, out, outFew);
      many += manyLine;
      out += outMany;
    }
  }
}

function transpose(k: i32, rows: i32, source: usize, target: usize): void {
  for (let i = 0; i < rows; i++) {
    let at = source + (<usize>i << 2);
    for (let p = 0; p < k; p++) {
      store<f32>(target, load<f32>(at));
      at += <usize>rows << 2;
      target += 4;
    }
  }
}

/** One row of `many` against all rows of `few`. */
@inline function dotRows(rows: i32, k: i32, few: usize, row: usize, out: usize, outFew: usize): void {
  const line = <usize>k << 2;
  for (; rows > 2; rows -= 4) {
    // With three rows left the third is taken twice, and stored twice.
    dotFour(k, few, rows > 3 ? few + line * 3 : few + line * 2, row, out, outFew, rows > 3 ? outFew * 3 : outFew * 2);
    few += line * 4;
    out += outFew * 4;
  }
  if (rows == 2) dotTwo(k, few, row, out, outFew);
  else if (rows == 1) dotStreams(k, 1, few, row, out, outFew, FLOAT);
}

function dotTwo(k: i32, x: usize, w: usize, out: usize, outFew: usize): void {
  const line = <usize>k << 2;
  let a0 = zero(), a1 = zero(), b0 = zero(), b1 = zero();
  const end = x + (<usize>(k & ~7) << 2);
  while (x != end) {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    a0 = madd(w0, v128.load(x), a0); a1 = madd(w1, v128.load(x, 16), a1);
    b0 = madd(w0, v128.load(x + line), b0); b1 = madd(w1, v128.load(x + line, 16), b1);
    w += 32;
    x += 32;
  }
  for (k &= 7; k > 0; k -= 4) {
    const w0 = loadLanes(w, k);
    a0 = madd(w0, loadLanes(x, k), a0);
    b0 = madd(w0, loadLanes(x + line, k), b0);
    w += 16;
    x += 16;
  }
  store<f32>(out, laneSum(f32x4.add(a0, a1)));
  store<f32>(out + outFew, laneSum(f32x4.add(b0, b1)));
}

/** Three consecutive rows from x, and one at `last`, whose result goes `outLast` bytes behind the first. */
function dotFour(k: i32, x: usize, last: usize, w: usize, out: usize, outFew: usize, outLast: usize): void {
  const r1 = <usize>k << 2, r2 = r1 * 2, r3 = last - x;
  let a0 = zero(), a1 = zero(), b0 = zero(), b1 = zero(), c0 = zero(), c1 = zero(), d0 = zero(), d1 = zero();
  const end = x + (<usize>(k & ~7) << 2);
  while (x != end) {
    const w0 = v128.load(w), w1 = v128.load(w, 16);
    a0 = madd(w0, v128.load(x), a0); a1 = madd(w1, v128.load(x, 16), a1);
    b0 = madd(w0, v128.load(x + r1), b0); b1 = madd(w1, v128.load(x + r1, 16), b1);
    c0 = madd(w0, v128.load(x + r2), c0); c1 = madd(w1, v128.load(x + r2, 16), c1);
    d0 = madd(w0, v128.load(x + r3), d0); d1 = madd(w1, v128.load(x + r3, 16), d1);
    w += 32;
    x += 32;
  }
  for (k &= 7; k > 0; k -= 4) {
    const w0 = loadLanes(w, k);
    a0 = madd(w0, loadLanes(x, k), a0);
    b0 = madd(w0, loadLanes(x + r1, k), b0);
    c0 = madd(w0, loadLanes(x + r2, k), c0);
    d0 = madd(w0, loadLanes(x + r3, k), d0);
    w += 16;
    x += 16;
  }
  store<f32>(out, laneSum(f32x4.add(a0, a1)));
  store<f32>(out + outFew, laneSum(f32x4.add(b0, b1)));
  store<f32>(out + outFew * 2, laneSum(f32x4.add(c0, c1)));
  store<f32>(out + outLast, laneSum(f32x4.add(d0, d1)));
}
