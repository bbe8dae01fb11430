// Largest, sorted, running sums.
import { address, field, sliceBegin, useful } from './slicing';

/** Does a come strictly before b in descending order? NaN comes first. */
@inline function before(a: f32, b: f32): bool {
  return a > b || (a != a && b == b);
}

/** Fields: x, out, rows, width. Threads take ranges of rows. */
export function argmax(params: usize, tid: i32, threads: i32): void {
  const x = address(params, 0), out = address(params, 1);
  const rows = field(params, 2), width = field(params, 3);
  const parts = useful(threads, <i64>rows * width, 16384);
  if (tid >= parts) return;
  const end = sliceBegin(rows, tid + 1, parts);
  for (let r = sliceBegin(rows, tid, parts); r < end; r++) {
    const row = x + ((<usize>r * width) << 2);
    let best = 0;
    let value = load<f32>(row);
    for (let i = 1; i < width; i++) {
      const v = load<f32>(row + (<usize>i << 2));
      if (before(v, value)) { value = v; best = i; }
    }
    store<i32>(out + (<usize>r << 2), best);
  }
}

/** Fields: x, values, indices, scratch (rows * width words), rows, width. Bottom-up merge sort of the positions, stable. */
export function sort(params: usize, tid: i32, threads: i32): void {
  const x = address(params, 0), values = address(params, 1), indices = address(params, 2), scratch = address(params, 3);
  const rows = field(params, 4), width = field(params, 5);
  const parts = useful(threads, <i64>rows * width, 1024);
  if (tid >= parts) return;
  const end = sliceBegin(rows, tid + 1, parts);
  for (let r = sliceBegin(rows, tid, parts); r < end; r++) {
    const at = (<usize>r * width) << 2;
    const row = x + at;
    let from = indices + at;
    let to = scratch + at;
    for (let i = 0; i < width; i++) store<i32>(from + (<usize>i << 2), i);
    for (let run = 1; run < width; run <<= 1) {
      for (let low = 0; low < width; low += run << 1) {
        const middle = min(low + run, width);
        merge(row, from, to, low, middle, min(middle + run, width));
      }
      const swap = from;
      from = to;
      to = swap;
    }
    if (from != indices + at) memory.copy(indices + at, from, <usize>width << 2);
    for (let i = 0; i < width; i++) {
      const position = load<i32>(indices + at + (<usize>i << 2));
      store<f32>(values + at + (<usize>i << 2), load<f32>(row + (<usize>position << 2)));
    }
  }
}

function merge(row: usize, from: usize, to: usize, low: i32, middle: i32, high: i32): void {
  let i = low;
  let j = middle;
  for (let k = low; k < high; k++) {
    let takeRight = i >= middle;
    if (!takeRight && j < high) {
      const left = load<f32>(row + (<usize>load<i32>(from + (<usize>i << 2)) << 2));
      const right = load<f32>(row + (<usize>load<i32>(from + (<usize>j << 2)) << 2));
      takeRight = before(right, left);
    }
    store<i32>(to + (<usize>k << 2), load<i32>(from + (<usize>(takeRight ? j : i) << 2)));
    if (takeRight) j += 1;
    else i += 1;
  }
}

/** Fields: x, out, rows, length, width, reverse. Threads take ranges of (row, group of columns). */
export function cumsum(params: usize, tid: i32, threads: i32): void {
  const x = address(params, 0), out = address(params, 1);
  const rows = field(params, 2), length = field(params, 3), width = field(params, 4), reverse = field(params, 5);
  const groups = (width + 15) >> 4;
  const tasks = rows * groups;
  const parts = useful(threads, <i64>rows * length * width, 8192);
  if (tid >= parts) return;
  const stride = <usize>width << 2;
  const end = sliceBegin(tasks, tid + 1, parts);
  for (let task = sliceBegin(tasks, tid, parts); task < end; task++) {
    const r = task / groups;
    const first = (task - r * groups) << 4;
    const last = min(first + 16, width);
    const base = <usize>r * length * stride;
    for (let c = first; c < last; c++) {
      let at = base + (<usize>c << 2) + (reverse ? <usize>(length - 1) * stride : 0);
      let sum: f32 = 0;
      for (let t = 0; t < length; t++) {
        sum += load<f32>(x + at);
        store<f32>(out + at, sum);
        at = reverse ? at - stride : at + stride;
      }
    }
  }
}
