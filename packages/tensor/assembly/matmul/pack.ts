// Rearranges blocks of the operands into the order in which the tiles read them.
import { ROWS } from './tiles';
import { BFLOAT16, FLOAT, FLOAT16, loadFour, loadOne, loadSome, shiftOf } from '../half';
import { zero } from '../vector';

/**
 * B (k, n), rows `bRow` bytes apart: `columns` columns from `b` on become panels of 8 columns, each (k, 8). A last
 * panel of 1 to 4 columns is (k, 4). Missing columns are 0. `type`: element type of B.
 */
export function packB(k: i32, columns: i32, b: usize, bRow: usize, target: usize, type: i32): void {
  if (type == FLOAT) packFloats(k, columns, b, bRow, target);
  else if (type == BFLOAT16) packBFloat16(k, columns, b, bRow, target);
  else packFloat16(k, columns, b, bRow, target);
}

function packFloats(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packBAs(k, columns, b, bRow, target, FLOAT);
}
function packBFloat16(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packBAs(k, columns, b, bRow, target, BFLOAT16);
}
function packFloat16(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packBAs(k, columns, b, bRow, target, FLOAT16);
}

@inline function packBAs(k: i32, columns: i32, b: usize, bRow: usize, target: usize, type: i32): void {
  let j = 0;
  const panel = <usize>k << 5;
  const four: usize = <usize>4 << shiftOf(type);
  // Two panels at once: 16 columns are one cache line of floats.
  for (; j + 16 <= columns; j += 16) {
    let source = b + (<usize>j << shiftOf(type));
    const end = target + panel;
    while (target != end) {
      v128.store(target, loadFour(source, type));
      v128.store(target, loadFour(source + four, type), 16);
      v128.store(target + panel, loadFour(source + four * 2, type));
      v128.store(target + panel, loadFour(source + four * 3, type), 16);
      source += bRow;
      target += 32;
    }
    target += panel;
  }
  for (; j < columns; j += 8) {
    const width = min(columns - j, 8);
    let source = b + (<usize>j << shiftOf(type));
    const step: usize = width <= 4 ? 16 : 32;
    for (let p = 0; p < k; p++) {
      v128.store(target, loadSome(source, width, type));
      if (width > 4) v128.store(target, loadSome(source + four, width - 4, type), 16);
      source += bRow;
      target += step;
    }
  }
}

/** The same from B stored as (n, k), its rows `bRow` bytes apart. */
export function packTransposedB(k: i32, columns: i32, b: usize, bRow: usize, target: usize, type: i32): void {
  if (type == FLOAT) packTransposedFloats(k, columns, b, bRow, target);
  else if (type == BFLOAT16) packTransposedBFloat16(k, columns, b, bRow, target);
  else packTransposedFloat16(k, columns, b, bRow, target);
}

function packTransposedFloats(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packTransposedBAs(k, columns, b, bRow, target, FLOAT);
}
function packTransposedBFloat16(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packTransposedBAs(k, columns, b, bRow, target, BFLOAT16);
}
function packTransposedFloat16(k: i32, columns: i32, b: usize, bRow: usize, target: usize): void {
  packTransposedBAs(k, columns, b, bRow, target, FLOAT16);
}

@inline function packTransposedBAs(k: i32, columns: i32, b: usize, bRow: usize, target: usize, type: i32): void {
  for (let j = 0; j < columns; j += 4) {
    const width = min(columns - j, 4);
    // Half a panel: its left or its right four columns. The last panel has no right half when it has 1 to 4 columns.
    const half = (j & 4) != 0;
    const narrow = !half && columns - j <= 4;
    const step: usize = narrow ? 16 : 32;
    let out = target + (half ? 16 : 0);
    const r0 = b + <usize>j * bRow;
    const r1 = width > 1 ? r0 + bRow : 0, r2 = width > 2 ? r0 + 2 * bRow : 0, r3 = width > 3 ? r0 + 3 * bRow : 0;
    let p = 0;
    for (; p + 4 <= k; p += 4) {
      const at = <usize>p << shiftOf(type);
      const x0 = loadFour(r0 + at, type);
      const x1 = r1 != 0 ? loadFour(r1 + at, type) : zero();
      const x2 = r2 != 0 ? loadFour(r2 + at, type) : zero();
      const x3 = r3 != 0 ? loadFour(r3 + at, type) : zero();
      const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5), low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7), high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      v128.store(out, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
      v128.store(out + step, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
      v128.store(out + step * 2, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
      v128.store(out + step * 3, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
      out += step * 4;
    }
    for (; p < k; p++) {
      const at = <usize>p << shiftOf(type);
      store<f32>(out, loadOne(r0 + at, type));
      store<f32>(out, r1 != 0 ? loadOne(r1 + at, type) : 0, 4);
      store<f32>(out, r2 != 0 ? loadOne(r2 + at, type) : 0, 8);
      store<f32>(out, r3 != 0 ? loadOne(r3 + at, type) : 0, 12);
      out += step;
    }
    if (half) target += <usize>k << 5;
  }
}

/**
 * Rows of A stored as (k, m), rows `aStep` bytes apart: `rows` columns from `a` on become panels of ROWS, each (k,
 * ROWS); missing ones are 0.
 */
export function packTransposedA(k: i32, rows: i32, a: usize, aStep: usize, target: usize): void {
  const panel = (<usize>k * ROWS) << 2;
  let i = 0;
  // Four panels at once, so that whole cache lines of A are read.
  for (; i + 4 * ROWS <= rows; i += 4 * ROWS) {
    let source = a + (<usize>i << 2);
    const end = target + panel;
    while (target != end) {
      copyColumn(source, target);
      copyColumn(source + ROWS * 4, target + panel);
      copyColumn(source + ROWS * 8, target + panel * 2);
      copyColumn(source + ROWS * 12, target + panel * 3);
      source += aStep;
      target += ROWS << 2;
    }
    target += panel * 3;
  }
  for (; i + ROWS <= rows; i += ROWS) {
    let source = a + (<usize>i << 2);
    const end = target + panel;
    while (target != end) {
      copyColumn(source, target);
      source += aStep;
      target += ROWS << 2;
    }
  }
  if (i == rows) return;
  const width = rows - i;
  let source = a + (<usize>i << 2);
  for (let p = 0; p < k; p++) {
    for (let r = 0; r < ROWS; r++) {
      store<f32>(target + (<usize>r << 2), r < width ? load<f32>(source + (<usize>r << 2)) : 0);
    }
    source += aStep;
    target += ROWS << 2;
  }
}

@inline function copyColumn(source: usize, target: usize): void {
  v128.store(target, v128.load(source));
  if (ROWS == 6) store<u64>(target, load<u64>(source, 16), 16);
}

/** Up to ROWS rows of A stored as (m, k) as one panel (k, ROWS); missing rows are 0. */
export function packRows(k: i32, rows: i32, a: usize, aRow: usize, target: usize): void {
  for (let r = 0; r < ROWS; r++) {
    let source = a + <usize>r * aRow;
    let out = target + (<usize>r << 2);
    for (let p = 0; p < k; p++) {
      store<f32>(out, r < rows ? load<f32>(source) : 0);
      source += 4;
      out += ROWS << 2;
    }
  }
}
