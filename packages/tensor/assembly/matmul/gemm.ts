// C = A B in blocks: a block of B is packed once and used for all rows; a block of A is packed only where it is stored
// transposed (its own rows are read in place otherwise). The sum over k is cut at multiples of DEPTH, the only cut that
// a result can see, and the same for every thread.
import { ROWS, tile6x8, tile4x8, tile6x4, tile4x4 } from './tiles';
import { packB, packTransposedB, packTransposedA, packRows } from './pack';
import { FLOAT, shiftOf } from '../half';
import { loadLanes, storeLanes } from '../vector';

/** Terms per block of the sum. */
@inline const DEPTH: i32 = 256;
/** Columns per packed block of B: 256 KiB, half of a common L2 cache at most. */
@inline const WIDTH: i32 = 256;
/** Rows per packed block of A. */
@inline const HEIGHT: i32 = 96;
/**
 * Below this many rows packing B costs more than it gives; B is then read in place (where it isn't stored transposed).
 */
@inline const PACKING_ROWS: i32 = 13;

// A thread's workspace: one tile for edges, one panel of A for edges, a block of A, a block of B.
// src/cpu/routines/matmul.ts knows its size.
@inline const EDGE_PANEL: usize = 256;
@inline const BLOCK_A: usize = 256 + 6 * 4 * 256;

/**
 * Rows [i0, i1) and columns [j0, j1) of C (m, n) = A B; j0 is a multiple of 8. Row distances are in bytes; with k = 0
 * the result is 0. `typeB`: element type of B.
 */
export function multiplyRegion(
  k: i32, a: usize, aLine: usize, transposeA: bool, b: usize, bLine: usize, transposeB: bool, typeB: i32,
  c: usize, cRow: usize, i0: i32, i1: i32, j0: i32, j1: i32, workspace: usize, blockB: usize,
): void {
  const inPlace = !transposeB && typeB == FLOAT && i1 - i0 < PACKING_ROWS;
  const shift = shiftOf(typeB);
  for (let j = j0; j < j1; j += WIDTH) {
    const columns = min(j1 - j, WIDTH);
    for (let p = 0; p == 0 || p < k; p += DEPTH) {
      const depth = min(k - p, DEPTH);
      const corner = transposeB ? b + <usize>j * bLine + (<usize>p << shift) : b + <usize>p * bLine + (<usize>j << shift);
      if (transposeB) packTransposedB(depth, columns, corner, bLine, blockB, typeB);
      else if (!inPlace) packB(depth, columns, corner, bLine, blockB, typeB);
      else if ((columns & 7) != 0) packB(depth, columns & 7, corner + (<usize>(columns & ~7) << 2), bLine, blockB, FLOAT);
      for (let i = i0; i < i1; i += HEIGHT) {
        const rows = min(i1 - i, HEIGHT);
        const target = c + <usize>i * cRow + (<usize>j << 2);
        if (transposeA) {
          packTransposedA(depth, rows, a + <usize>p * aLine + (<usize>i << 2), aLine, workspace + BLOCK_A);
          const panels = workspace + BLOCK_A;
          for (let r = 0; r < rows; r += ROWS) {
            const panel = panels + ((<usize>r * <usize>depth) << 2);
            multiplyRows(depth, panel, 4, ROWS << 2, min(rows - r, ROWS), columns,
              inPlace ? corner : 0, bLine, blockB, target + <usize>r * cRow, cRow, workspace, p > 0);
          }
        } else {
          const source = a + <usize>i * aLine + (<usize>p << 2);
          for (let r = 0; r < rows; r += ROWS) {
            let at = source + <usize>r * aLine, aRow = aLine;
            let aStep: usize = 4;
            if (rows - r < ROWS) {
              packRows(depth, rows - r, at, aLine, workspace + EDGE_PANEL);
              at = workspace + EDGE_PANEL;
              aRow = 4;
              aStep = ROWS << 2;
            }
            multiplyRows(depth, at, aRow, aStep, min(rows - r, ROWS), columns,
              inPlace ? corner : 0, bLine, blockB, target + <usize>r * cRow, cRow, workspace, p > 0);
          }
        }
      }
    }
  }
}

/** One row of tiles. `direct`: B in place, or 0 where all of it is packed. */
function multiplyRows(
  k: usize, a: usize, aRow: usize, aStep: usize, rows: i32, columns: i32,
  direct: usize, bLine: usize, packed: usize, c: usize, cRow: usize, edge: usize, add: bool,
): void {
  const whole = columns & ~7;
  const panel = k << 5;
  let b = direct != 0 ? direct : packed;
  const next: usize = direct != 0 ? 32 : panel;
  const bStep: usize = direct != 0 ? bLine : 32;
  if (rows == ROWS) {
    for (let j = 0; j < whole; j += 8) {
      if (ROWS == 6) tile6x8(k, a, aRow, aStep, b, bStep, c, cRow, add);
      else tile4x8(k, a, aRow, aStep, b, bStep, c, cRow, add);
      b += next;
      c += 32;
    }
  } else {
    for (let j = 0; j < whole; j += 8) {
      if (ROWS == 6 && rows > 4) tile6x8(k, a, aRow, aStep, b, bStep, edge, 32, false);
      else tile4x8(k, a, aRow, aStep, b, bStep, edge, 32, false);
      copyEdge(edge, c, cRow, rows, 8, add);
      b += next;
      c += 32;
    }
  }
  if (whole == columns) return;
  if (direct != 0) b = packed;
  const rest = columns - whole;
  const high = ROWS == 6 && rows > 4;
  if (rest > 4) {
    if (high) tile6x8(k, a, aRow, aStep, b, 32, edge, 32, false);
    else tile4x8(k, a, aRow, aStep, b, 32, edge, 32, false);
  } else if (rest == 4 && rows == ROWS) {
    if (ROWS == 6) tile6x4(k, a, aRow, aStep, b, 16, c, cRow, add);
    else tile4x4(k, a, aRow, aStep, b, 16, c, cRow, add);
    return;
  } else {
    if (high) tile6x4(k, a, aRow, aStep, b, 16, edge, 32, false);
    else tile4x4(k, a, aRow, aStep, b, 16, edge, 32, false);
  }
  copyEdge(edge, c, cRow, rows, rest, add);
}

/** The part of a tile (rows 32 bytes apart) that lies inside C. */
function copyEdge(tile: usize, c: usize, cRow: usize, rows: i32, columns: i32, add: bool): void {
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < columns; j += 4) {
      const at = c + (<usize>j << 2);
      const lanes = columns - j;
      let value = v128.load(tile + (<usize>j << 2));
      if (add) value = f32x4.add(value, loadLanes(at, lanes));
      storeLanes(at, value, lanes);
    }
    tile += 32;
    c += cRow;
  }
}
