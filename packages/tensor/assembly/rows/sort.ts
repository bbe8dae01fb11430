import { address, field, sliceBegin, useful } from '../slicing';

/** Elements that pay for one more thread. */
@inline const GRAIN: i64 = 1024;
/** Rows up to this width are sorted by insertion. */
@inline const SHORT: i32 = 40;

/**
 * Rows in descending order, stable, NaN first: values and their positions. Elements are pairs (key, position) in 64
 * bits, the key ascending; longer rows go through four counting passes over the key's bytes. Parameters: 0 x, 1 values,
 * 2 indices, 3 rows, 4 width, 5 workspaces, 6 bytes of one (2 rows of pairs, 256 counts), 7 their number.
 */
export function sort(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 3), width = field(params, 4);
  threads = useful(min(threads, field(params, 7)), <i64>rows * <i64>width, GRAIN);
  if (tid >= threads) return;
  const pairs = address(params, 5) + <usize>tid * address(params, 6);
  const other = pairs + (<usize>width << 3), counts = other + (<usize>width << 3);
  const end = sliceBegin(rows, tid + 1, threads);
  for (let row = sliceBegin(rows, tid, threads); row < end; row++) {
    const offset = (<usize>row * <usize>width) << 2;
    const x = address(params, 0) + offset;
    for (let i = 0; i < width; i++) {
      // The highest order becomes the smallest unsigned key.
      const key = <u32>(orderOf(load<f32>(x + (<usize>i << 2))) ^ i32.MAX_VALUE);
      store<u64>(pairs + (<usize>i << 3), (<u64>key << 32) | <u64>i);
    }
    if (width <= SHORT) {
      sortByInsertion(pairs, width);
    } else {
      for (let shift = 32; shift < 64; shift += 16) {
        distribute(pairs, other, counts, width, shift);
        distribute(other, pairs, counts, width, shift + 8);
      }
    }
    for (let i = 0; i < width; i++) {
      const at = <u32>load<u64>(pairs + (<usize>i << 3));
      store<f32>(address(params, 1) + offset + (<usize>i << 2), load<f32>(x + (<usize>at << 2)));
      store<u32>(address(params, 2) + offset + (<usize>i << 2), at);
    }
  }
}

function sortByInsertion(pairs: usize, width: i32): void {
  const first = pairs;
  const end = pairs + (<usize>width << 3);
  for (let at = pairs + 8; at < end; at += 8) {
    const pair = load<u64>(at);
    let hole = at;
    while (hole > first && load<u64>(hole - 8) > pair) {
      store<u64>(hole, load<u64>(hole - 8));
      hole -= 8;
    }
    store<u64>(hole, pair);
  }
}

/** One stable pass: by the byte `shift` bits up. */
function distribute(source: usize, target: usize, counts: usize, width: i32, shift: i32): void {
  memory.fill(counts, 0, 1024);
  const end = source + (<usize>width << 3);
  for (let at = source; at != end; at += 8) {
    const count = counts + ((<usize>(load<u64>(at) >> shift) & 255) << 2);
    store<i32>(count, load<i32>(count) + 1);
  }
  let before = 0;
  for (let count = counts; count != counts + 1024; count += 4) {
    const size = load<i32>(count);
    store<i32>(count, before);
    before += size;
  }
  for (let at = source; at != end; at += 8) {
    const pair = load<u64>(at);
    const count = counts + ((<usize>(pair >> shift) & 255) << 2);
    const place = load<i32>(count);
    store<i32>(count, place + 1);
    store<u64>(target + (<usize>place << 3), pair);
  }
}

/** A float as an integer of the same order: NaN above everything, -0 equal to 0. */
@inline function orderOf(x: f32): i32 {
  if (x != x) return i32.MAX_VALUE;
  const bits = reinterpret<i32>(x + 0);
  return bits ^ <i32>(<u32>(bits >> 31) >> 1);
}
