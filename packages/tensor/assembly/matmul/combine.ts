// One or two rows against a matrix stored (k, n): out[i] = sum_p coefficient[i, p] matrix[p]. The matrix is streamed
// once; a block of the output stays in the L1 cache meanwhile.
import { madd, zero, loadLanes, storeLanes } from '../vector';
import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';

/** Multiply-adds that pay for one more thread. */
@inline const GRAIN: i64 = 40_000;
/** Output columns per block. */
@inline const BLOCK: i32 = 4096;

/**
 * Parameters: 0 coefficients, 1 matrix (k, n), 2 out (rows, n), 3 batch, 4 rows, 5 n, 6 k, 7..9 bytes from one matrix
 * of the batch to the next in coefficients, matrix, out, 10 and 11 bytes from coefficient[i, p] to [i + 1, p] and [i, p
 * + 1].
 */
export function matmulCombine(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 3), rows = field(params, 4), n = field(params, 5), k = field(params, 6);
  if (batch == 0 || rows == 0 || n == 0) return;
  threads = useful(threads, <i64>batch * <i64>rows * <i64>n * <i64>max(k, 1), GRAIN);
  if (tid >= threads) return;
  const line = <usize>n << 2;
  // Cuts lie at multiples of 16 columns: one cache line, and whole vectors everywhere but at the end of a row.
  const cells = ceilDiv(n, 16);
  const end = sliceBegin(batch * cells, tid + 1, threads);
  for (let cell = sliceBegin(batch * cells, tid, threads); cell < end;) {
    const matrix = cell / cells, first = cell - matrix * cells;
    const last = min(first + min(end - cell, BLOCK / 16), cells);
    const column = first * 16, width = min(last * 16, n) - column;
    const offset = <usize>column << 2;
    for (let i = 0; i < rows; i++) {
      combineBlock(
        k, width,
        address(params, 0) + <usize>matrix * address(params, 7) + <usize>i * address(params, 10), address(params, 11),
        address(params, 1) + <usize>matrix * address(params, 8) + offset, line,
        address(params, 2) + <usize>matrix * address(params, 9) + <usize>i * line + offset,
      );
    }
    cell += last - first;
  }
}

function combineBlock(
  k: i32, width: i32, coefficient: usize, step: usize, matrix: usize, line: usize, out: usize,
): void {
  memory.fill(out, 0, <usize>width << 2);
  const r1 = line, r2 = line * 2, r3 = line * 3;
  const end = out + (<usize>(width & ~3) << 2);
  const lanes = width & 3;
  // Four terms per pass, fewer in the last one.
  for (let p = 0; p < k; p += 4) {
    const left = k - p;
    const c0 = v128.load32_splat(coefficient);
    const c1 = left > 1 ? v128.load32_splat(coefficient + step) : zero();
    const c2 = left > 2 ? v128.load32_splat(coefficient + step * 2) : zero();
    const c3 = left > 3 ? v128.load32_splat(coefficient + step * 3) : zero();
    let w = matrix, o = out;
    if (left > 3) {
      for (; o != end; o += 16) {
        const sum = madd(c1, v128.load(w + r1), madd(c0, v128.load(w), v128.load(o)));
        v128.store(o, madd(c3, v128.load(w + r3), madd(c2, v128.load(w + r2), sum)));
        w += 16;
      }
      if (lanes != 0) {
        const sum = madd(c1, loadLanes(w + r1, lanes), madd(c0, loadLanes(w, lanes), loadLanes(o, lanes)));
        storeLanes(o, madd(c3, loadLanes(w + r3, lanes), madd(c2, loadLanes(w + r2, lanes), sum)), lanes);
      }
    } else {
      for (let rest = width; rest > 0; rest -= 4) {
        let sum = madd(c0, loadLanes(w, rest), loadLanes(o, rest));
        if (left > 1) sum = madd(c1, loadLanes(w + r1, rest), sum);
        if (left > 2) sum = madd(c2, loadLanes(w + r2, rest), sum);
        storeLanes(o, sum, rest);
        w += 16;
        o += 16;
      }
    }
    matrix += line * 4;
    coefficient += step * 4;
  }
}
