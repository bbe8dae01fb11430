import { address, field, sliceBegin, useful } from '../slicing';
import { maximum } from './maximum';

/** Floats that pay for one more thread. */
@inline const GRAIN: i64 = 16_384;

/**
 * Position of the largest value of each row, the first of equals; NaN is the largest. Parameters: 0 x, 1 out, 2 rows, 3
 * width.
 */
export function argmax(params: usize, tid: i32, threads: i32): void {
  const rows = field(params, 2), width = field(params, 3);
  threads = useful(threads, <i64>rows * <i64>(width + 16), GRAIN);
  if (tid >= threads) return;
  const end = sliceBegin(rows, tid + 1, threads);
  for (let row = sliceBegin(rows, tid, threads); row < end; row++) {
    const x = address(params, 0) + ((<usize>row * <usize>width) << 2);
    store<i32>(address(params, 1) + (<usize>row << 2), positionOf(x, width, maximum(x, width)));
  }
}

/** First position of a value that is there; all NaN are the same. */
function positionOf(x: usize, width: i32, value: f32): i32 {
  const wanted = f32x4.splat(value);
  let i = 0;
  if (value == value) {
    for (; i + 4 <= width && !v128.any_true(f32x4.eq(v128.load(x + (<usize>i << 2)), wanted)); i += 4) {}
    for (; i < width; i++) if (load<f32>(x + (<usize>i << 2)) == value) return i;
    return 0;
  }
  for (; i < width; i++) if (isNaN(load<f32>(x + (<usize>i << 2)))) return i;
  return 0;
}
