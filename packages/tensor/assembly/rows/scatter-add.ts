import { recordFault } from '../fault';
import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';
import { loadLanes, storeLanes } from '../vector';

/** Floats that pay for one more thread. */
@inline const GRAIN: i64 = 16_384;

/**
 * out[ids[i]] += updates[i] for i in ascending order, from 0; an id outside [0, rows) adds nothing and is a fault of
 * kind 2. A thread owns columns where there are enough of them, else rows: so every sum is made by one thread, in
 * order. Parameters: 0 updates, 1 ids, 2 out, 3 fault, 4 rows, 5 width, 6 count.
 */
export function scatterAdd(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 4), width = field(params, 5), count = field(params, 6);
  threads = useful(threads, <i64>(count + rows) * <i64>(width + 4), GRAIN);
  if (tid >= threads) return;
  const cells = ceilDiv(width, 16);
  if (cells >= threads) {
    const first = sliceBegin(cells, tid, threads) * 16;
    addRows(params, 0, rows, first, min(sliceBegin(cells, tid + 1, threads) * 16, width) - first, tid == 0);
  } else {
    addRows(params, sliceBegin(rows, tid, threads), sliceBegin(rows, tid + 1, threads), 0, width, tid == 0);
  }
}

/** Rows [begin, end) of the result, columns [first, first + width). */
function addRows(params: usize, begin: i32, end: i32, first: i32, width: i32, reportFaults: bool): void {
  const rows = field(params, 4), count = field(params, 6);
  const line = <usize>field(params, 5) << 2;
  const ids = address(params, 1);
  const updates = address(params, 0) + (<usize>first << 2), out = address(params, 2) + (<usize>first << 2);
  const bytes = <usize>width << 2;
  if (bytes == line) memory.fill(out + <usize>begin * line, 0, <usize>(end - begin) * line);
  else for (let r = begin; r < end; r++) memory.fill(out + <usize>r * line, 0, bytes);
  for (let i = 0; i < count; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    if (id < begin || id >= end) {
      if (reportFaults && <u32>id >= <u32>rows) recordFault(address(params, 3), 2, id, i, rows);
      continue;
    }
    let source = updates + <usize>i * line, target = out + <usize>id * line;
    const last = target + (bytes & ~15);
    while (target != last) {
      v128.store(target, f32x4.add(v128.load(target), v128.load(source)));
      source += 16;
      target += 16;
    }
    const lanes = width & 3;
    if (lanes != 0) storeLanes(target, f32x4.add(loadLanes(target, lanes), loadLanes(source, lanes)), lanes);
  }
}
