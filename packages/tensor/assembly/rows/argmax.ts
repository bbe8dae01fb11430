import { address, field, sliceBegin, useful } from '../slicing';
import { orderOf, orderOfFour } from './order';

/** Floats that pay for one more thread. */
@inline const GRAIN: i64 = 16_384;

/** Position of the largest value of each row, the first of equals; NaN is the largest. Parameters: 0 x, 1 out, 2 rows, 3 width. */
export function argmax(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 2), width = field(params, 3);
  threads = useful(threads, <i64>rows * <i64>(width + 16), GRAIN);
  if (tid >= threads) return;
  const end = sliceBegin(rows, tid + 1, threads);
  for (let row = sliceBegin(rows, tid, threads); row < end; row++) {
    const at = argmaxOf(address(params, 0) + ((<usize>row * <usize>width) << 2), width);
    store<i32>(address(params, 1) + (<usize>row << 2), at);
  }
}

function argmaxOf(x: usize, width: i32): i32 {
  let best = i32.MIN_VALUE, at = 0;
  let i = 0;
  if (width >= 8) {
    // Every order is above the least integer, so each lane takes its first value.
    let bests = i32x4.splat(i32.MIN_VALUE), positions = i32x4.splat(0), here = i32x4(0, 1, 2, 3);
    const four = i32x4.splat(4);
    for (; i + 4 <= width; i += 4) {
      const order = orderOfFour(v128.load(x + (<usize>i << 2)));
      const better = i32x4.gt_s(order, bests);
      bests = v128.bitselect(order, bests, better);
      positions = v128.bitselect(here, positions, better);
      here = i32x4.add(here, four);
    }
    for (let lane = 0; lane < 4; lane++) {
      const order = lane == 0 ? i32x4.extract_lane(bests, 0) : lane == 1 ? i32x4.extract_lane(bests, 1)
        : lane == 2 ? i32x4.extract_lane(bests, 2) : i32x4.extract_lane(bests, 3);
      const position = lane == 0 ? i32x4.extract_lane(positions, 0) : lane == 1 ? i32x4.extract_lane(positions, 1)
        : lane == 2 ? i32x4.extract_lane(positions, 2) : i32x4.extract_lane(positions, 3);
      if (order > best || (order == best && position < at)) { best = order; at = position; }
    }
  }
  for (; i < width; i++) {
    const order = orderOf(load<f32>(x + (<usize>i << 2)));
    if (order > best) { best = order; at = i; }
  }
  return at;
}
