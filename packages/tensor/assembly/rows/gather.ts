import { recordFault } from '../fault';
import { FLOAT, shiftOf, widenRow } from '../half';
import { address, field, sliceBegin, useful } from '../slicing';

/** Floats that pay for one more thread. */
@inline const GRAIN: i64 = 16_384;

/**
 * out[i] = table[ids[i]], rows of `width` floats; a row of zeros for an id outside the table, and a fault of kind 1.
 * Parameters: 0 table, 1 ids, 2 out, 3 fault, 4 rows, 5 width, 6 count, 7 element type of the table.
 */
export function gather(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 4), width = field(params, 5), count = field(params, 6);
  threads = useful(threads, <i64>count * <i64>(width + 4), GRAIN);
  if (tid >= threads) return;
  const bytes = <usize>width << 2;
  const type = field(params, 7);
  const ids = address(params, 1);
  const end = sliceBegin(count, tid + 1, threads);
  for (let i = sliceBegin(count, tid, threads); i < end; i++) {
    const id = load<i32>(ids + (<usize>i << 2));
    const target = address(params, 2) + <usize>i * bytes;
    if (<u32>id < <u32>rows) {
      const source = address(params, 0) + <usize>id * (<usize>width << shiftOf(type));
      if (type == FLOAT) copyRow(target, source, bytes);
      else widenRow(width, source, target, type);
    } else {
      recordFault(address(params, 3), 1, id, i, rows);
      memory.fill(target, 0, bytes);
    }
  }
}

/** memory.copy costs a call; short rows are done here. */
@inline function copyRow(target: usize, source: usize, bytes: usize): void {
  if (bytes > 2048) {
    memory.copy(target, source, bytes);
    return;
  }
  const end = target + (bytes & ~15);
  while (target != end) {
    v128.store(target, v128.load(source));
    target += 16;
    source += 16;
  }
  for (let rest = bytes & 15; rest != 0; rest -= 4) {
    store<u32>(target, load<u32>(source));
    target += 4;
    source += 4;
  }
}
