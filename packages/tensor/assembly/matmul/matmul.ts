import { multiplyRegion } from './gemm';
import { shiftOf } from '../half';
import { ROWS } from './tiles';
import { address, field, sliceBegin, ceilDiv, useful } from '../slicing';

/** Multiply-adds that pay for one more thread. */
@inline const GRAIN: i64 = 40_000;

/**
 * Parameters: 0 a, 1 b, 2 c, 3 workspaces, 4 batch, 5 m, 6 n, 7 k, 8 flags (1: a is (k, m), 2: b is (n, k)), 9..11
 * bytes from one matrix of the batch to the next in a, b (0: the same for all) and c, 12 bytes of a workspace, 13
 * offset of the block of B in it, 14 number of workspaces, 15 element type of b.
 */
export function matmul(params: usize, tid: i32, threads: i32): void {
  const batch = field(params, 4), m = field(params, 5), n = field(params, 6), k = field(params, 7);
  if (batch == 0 || m == 0 || n == 0) return;
  threads = useful(min(threads, field(params, 14)), <i64>batch * <i64>m * <i64>n * <i64>max(k, 1), GRAIN);
  if (tid >= threads) return;
  const transposeA = (field(params, 8) & 1) != 0, transposeB = (field(params, 8) & 2) != 0;
  const aLine = <usize>(transposeA ? m : k) << 2, typeB = field(params, 15);
  const bLine = <usize>(transposeB ? k : n) << shiftOf(typeB), cRow = <usize>n << 2;
  const workspace = address(params, 3) + <usize>tid * address(params, 12);

  // A matrix is cut into rowCuts x columnCuts regions unless there are enough matrices to go round.
  const rowTiles = ceilDiv(m, ROWS), panels = ceilDiv(n, 8);
  const parts = batch % threads == 0 || batch >= 4 * threads ? 1 : threads;
  const columnCuts = chooseColumnCuts(rowTiles, panels, parts);
  const rowCuts = parts / columnCuts;
  const regions = batch * rowCuts * columnCuts;
  const end = sliceBegin(regions, tid + 1, threads);
  for (let region = sliceBegin(regions, tid, threads); region < end; region++) {
    const matrix = region / (rowCuts * columnCuts);
    const inner = region % (rowCuts * columnCuts);
    const row = inner % rowCuts, column = inner / rowCuts;
    multiplyRegion(
      k, address(params, 0) + <usize>matrix * address(params, 9), aLine, transposeA,
      address(params, 1) + <usize>matrix * address(params, 10), bLine, transposeB, typeB,
      address(params, 2) + <usize>matrix * address(params, 11), cRow,
      sliceBegin(rowTiles, row, rowCuts) * ROWS, min(sliceBegin(rowTiles, row + 1, rowCuts) * ROWS, m),
      sliceBegin(panels, column, columnCuts) * 8, min(sliceBegin(panels, column + 1, columnCuts) * 8, n),
      workspace, workspace + address(params, 13),
    );
  }
}

/** The divisor of `parts` that makes the largest region cheapest: its tiles, and a share of its edges for packing. */
function chooseColumnCuts(rowTiles: i32, panels: i32, parts: i32): i32 {
  let best = 1;
  let bestCost = i32.MAX_VALUE;
  for (let cuts = 1; cuts <= parts; cuts++) {
    if (parts % cuts != 0) continue;
    const height = ceilDiv(rowTiles, parts / cuts), width = ceilDiv(panels, cuts);
    const cost = height * width * 4 + height * 2 + width * 4;
    if (cost < bestCost) { bestCost = cost; best = cuts; }
  }
  return best;
}
