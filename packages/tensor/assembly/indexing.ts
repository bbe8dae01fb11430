// Rows by number: gather and its transpose.
import { raise } from './fault';
import { address, field, sliceBegin, useful } from './slicing';

/** Fields: table, ids, out, fault, count, rows, width. Threads take ranges of ids. */
export function gather(params: usize, tid: i32, threads: i32): void {
  const table = address(params, 0), ids = address(params, 1), out = address(params, 2), fault = address(params, 3);
  const count = field(params, 4), rows = field(params, 5), width = field(params, 6);
  const bytes = <usize>width << 2;
  const parts = useful(threads, <i64>count * width, 16384);
  if (tid >= parts) return;
  const end = sliceBegin(count, tid + 1, parts);
  for (let i = sliceBegin(count, tid, parts); i < end; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    const target = out + <usize>i * bytes;
    if (<u32>id >= <u32>rows) {
      raise(fault, 1, id, i, rows);
      memory.fill(target, 0, bytes);
    } else {
      memory.copy(target, table + <usize>id * bytes, bytes);
    }
  }
}

/**
 * Fields: updates, ids, out, fault, count, rows, width. Threads take ranges of columns, so each sum is made by one thread in ascending order of
 * position: the result does not depend on their number.
 */
export function scatterAdd(params: usize, tid: i32, threads: i32): void {
  const updates = address(params, 0), ids = address(params, 1), out = address(params, 2), fault = address(params, 3);
  const count = field(params, 4), rows = field(params, 5), width = field(params, 6);
  const stride = <usize>width << 2;
  // Columns in groups of 16: a cache line each.
  const groups = (width + 15) >> 4;
  const parts = min(useful(threads, <i64>count * width, 16384), max(groups, 1));
  if (tid >= parts) return;
  const first = sliceBegin(groups, tid, parts) << 4;
  const last = min(sliceBegin(groups, tid + 1, parts) << 4, width);
  const own = <usize>max(last - first, 0) << 2;
  const start = <usize>first << 2;
  for (let r = 0; r < rows; r++) memory.fill(out + <usize>r * stride + start, 0, own);
  for (let i = 0; i < count; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (<u32>id >= <u32>rows) {
      raise(fault, 2, id, i, rows);
      continue;
    }
    const source = updates + <usize>i * stride + start;
    const target = out + <usize>id * stride + start;
    let c: usize = 0;
    for (; c + 16 <= own; c += 16) v128.store(target + c, f32x4.add(v128.load(target + c), v128.load(source + c)));
    for (; c < own; c += 4) store<f32>(target + c, load<f32>(target + c) + load<f32>(source + c));
  }
}
