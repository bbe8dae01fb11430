// Backward's main phase. A task is (sequence, group, taskChannels channels) and goes through time from the last tile to
// the first. Its channels' contributions to dB and dC are summed per step in the task and written apart, for the last
// phase to add: the order of every sum is fixed by the shape alone.
import * as params from './params';
import { BLOCK, TILE } from './params';
import { clearPanel, storeChannelValues, storePanel } from './panel';
import { TILE_BYTES, VECTOR_TILE, lanesOf, vectorsOf } from './tile';
import { groupOffset, loadDecays, loadStates, stateOffset, tileState } from './forward';
import { finishBackwardTile, prepareBackwardTile } from './backward-tile';
import { backwardSpanReal } from './backward-real';
import { backwardSpanComplex } from './backward-complex';
import { laneSums, storeLanes } from './vector';

/** Writes a tile's sums over the task's channels, (columns / 4, TILE, 4 columns, 4 lanes), as rows of columns. */
function storeColumnSums(sums: usize, target: usize, stride: usize, count: i32, columns: i32): void {
  for (let m = 0; m < columns; m += 4, sums += TILE * 64) {
    let at = sums, row = target + (<usize>m << 2);
    for (let t = 0; t < count; t++, at += 64, row += stride) {
      const sum = laneSums(v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48));
      storeLanes(row, sum, columns - m);
    }
  }
}

function backwardTask(p: usize, work: usize, b: i32, group: i32, part: i32): void {
  const perGroup = params.channels(p) / params.groups(p);
  const taskChannels = params.taskChannels(p);
  const offset = part * taskChannels;
  const channel = group * perGroup + offset;
  const total = min(taskChannels, perGroup - offset);
  const blocks = (total + BLOCK - 1) / BLOCK;
  const columns = params.columns(p), dState = params.dState(p), length = params.length(p);
  const variableB = params.variableB(p), variableC = params.variableC(p), complex = params.isComplex(p);
  const stride = <usize>(params.groups(p) * columns) << 2;
  const strideB = variableB ? stride : <usize>0, strideC = variableC ? stride : <usize>0;
  const panelBytes = <usize>columns << 4, panels = panelBytes << 2;
  const sumBytes = <usize>((columns + 3) >> 2) * <usize>(TILE * 64) + 64; // + 64: see TILE_BYTES

  const dtTile = work, inputTile = dtTile + TILE_BYTES, yTile = inputTile + TILE_BYTES, gTile = yTile + TILE_BYTES;
  const sumBTile = gTile + TILE_BYTES, sumATile = sumBTile + TILE_BYTES;
  const dtSlopeTile = sumATile + TILE_BYTES, gateSlopeTile = dtSlopeTile + TILE_BYTES;
  const kept = gateSlopeTile + TILE_BYTES;
  const sumsB = kept + (2 * TILE + 1) * 32, sumsC = sumsB + sumBytes;
  // Per block: panels of A, of the adjoint, of dA, of B, dB, C and dC where constant; then dD and ddeltaBias.
  const perBlock = panels * 7 + <usize>(2 * BLOCK * 4);
  const firstBlock = sumsC + sumBytes;

  for (let block = 0; block < blocks; block++) {
    const base = firstBlock + <usize>block * perBlock;
    const width = min(BLOCK, total - block * BLOCK);
    memory.fill(base, 0, perBlock);
    for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
      const at = base + <usize>v * panelBytes;
      const first = channel + block * BLOCK + (v << 2), lanes = lanesOf(width, v);
      loadDecays(p, at, first, lanes);
      loadStates(p, at + panels, params.gradLastState(p), b, first, lanes);
      if (!variableB) loadStates(p, at + 3 * panels, params.B(p), 0, first, lanes);
      if (!variableC) loadStates(p, at + 5 * panels, params.C(p), 0, first, lanes);
    }
  }

  for (let tile = (length - 1) / TILE; tile >= 0; tile--) {
    const t0 = tile * TILE;
    const count = min(TILE, length - t0);
    memory.fill(sumsB, 0, sumBytes << 1);
    for (let block = 0; block < blocks; block++) {
      const base = firstBlock + <usize>block * perBlock;
      const first = channel + block * BLOCK;
      const width = min(BLOCK, total - block * BLOCK);
      prepareBackwardTile(p, b, t0, count, first, width, dtTile, inputTile, yTile, gTile, sumBTile, sumATile,
        dtSlopeTile, gateSlopeTile);
      for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
        const panel = base + <usize>v * panelBytes;
        for (let end = t0 + count; end > t0;) {
          const begin = params.segmentBegin(p, b, t0, end);
          const fresh = params.resetAt(p, b, begin);
          const start: usize = fresh ? <usize>0 : tileState(p, b, group, tile, ((offset + block * BLOCK) >> 2) + v);
          const at = <usize>v * VECTOR_TILE + (<usize>(begin - t0) << 4);
          const step = groupOffset(p, b, begin, group);
          const B = variableB ? params.B(p) + step : panel + 3 * panels;
          const C = variableC ? params.C(p) + step : panel + 5 * panels;
          const rowsB = sumsB + (<usize>(begin - t0) << 6), rowsC = sumsC + (<usize>(begin - t0) << 6);
          const count = end - begin;
          const dt = dtTile + at, x = inputTile + at, y = yTile + at, g = gTile + at;
          const sumB = sumBTile + at, sumA = sumATile + at;
          const s = panel + panels, dA = s + panels;
          const dB = panel + 4 * panels, dC = panel + 6 * panels;
          if (complex) {
            backwardSpanComplex(variableB, variableC, count, dState, dt, x, y, g, sumB, sumA, panel, start, s, dA,
              B, strideB, dB, C, strideC, dC, rowsB, rowsC, kept);
          } else {
            backwardSpanReal(variableB, variableC, count, dState, dt, x, y, g, sumB, sumA, panel, start, s, dA,
              B, strideB, dB, C, strideC, dC, rowsB, rowsC, kept);
          }
          if (fresh) clearPanel(panel + panels, columns); // nothing flows through a reset
          end = begin;
        }
      }
      const sums = base + 7 * panels;
      finishBackwardTile(p, b, t0, count, first, width, dtTile, yTile, gTile, sumBTile, sumATile,
        dtSlopeTile, gateSlopeTile, sums, sums + BLOCK * 4);
    }
    const row = groupOffset(p, b, t0, group), perPart = groupOffset(p, params.batch(p), 0, 0);
    const target = <usize>part * perPart + row;
    const partialB = params.partialB(p), partialC = params.partialC(p);
    if (variableB && partialB != 0) storeColumnSums(sumsB, partialB + target, stride, count, columns);
    if (variableC && partialC != 0) storeColumnSums(sumsC, partialC + target, stride, count, columns);
  }

  for (let block = 0; block < blocks; block++) {
    const base = firstBlock + <usize>block * perBlock;
    const width = min(BLOCK, total - block * BLOCK);
    for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
      const panel = base + <usize>v * panelBytes;
      const first = channel + block * BLOCK + (v << 2), lanes = lanesOf(width, v);
      const at = stateOffset(p, b, first);
      if (params.gradInitialState(p) != 0) storePanel(panel + panels, params.gradInitialState(p) + at, columns, lanes);
      if (params.partialA(p) != 0) storePanel(panel + 2 * panels, params.partialA(p) + at, columns, lanes);
      const partialB = params.partialB(p), partialC = params.partialC(p);
      if (!variableB && partialB != 0) storePanel(panel + 4 * panels, partialB + at, columns, lanes);
      if (!variableC && partialC != 0) storePanel(panel + 6 * panels, partialC + at, columns, lanes);
      const sums = base + 7 * panels + (<usize>v << 4), row = b * params.channels(p) + first;
      storeChannelValues(params.partialD(p), row, v128.load(sums), lanes);
      storeChannelValues(params.partialDeltaBias(p), row, v128.load(sums, BLOCK * 4), lanes);
    }
  }
}

export function backwardTasks(p: usize, tid: i32, threads: i32): void {
  const groups = params.groups(p);
  const width = params.taskChannels(p);
  const parts = (params.channels(p) / groups + width - 1) / width;
  const tasks = params.batch(p) * groups * parts;
  const work = params.work(p, tid);
  const end = params.firstTask(tasks, tid + 1, threads);
  for (let task = params.firstTask(tasks, tid, threads); task < end; task++) {
    const row = task / parts;
    backwardTask(p, work, row / groups, row % groups, task % parts);
  }
}
