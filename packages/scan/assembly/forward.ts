// The scan forward: tasks are (sequence, group, block of BLOCK channels); a task runs through all of its time, tile by
// tile, so no thread waits for another and the bits don't depend on how many there are.
import * as params from './params';
import { BLOCK, TILE } from './params';
import { clearPanel, loadPanel, storePanel } from './panel';
import { TILE_BYTES, VECTOR_TILE, finishTile, lanesOf, prepareTile, vectorsOf } from './tile';
import { LOG2_E, TWO_OVER_PI } from './vector';
import { forwardSpanReal } from './forward-real';
import { forwardSpanComplex } from './forward-complex';

/** Byte offset of (b, channel, column 0) in a (batch, channels, columns) array. */
@inline export function stateOffset(p: usize, b: i32, channel: i32): usize {
  return (<usize>(b * params.channels(p) + channel) * <usize>params.columns(p)) << 2;
}

/** Byte offset of (b, t, group, column 0) in a (batch, length, groups, columns) array. */
@inline export function groupOffset(p: usize, b: i32, t: i32, group: i32): usize {
  return (<usize>((b * params.length(p) + t) * params.groups(p) + group) * <usize>params.columns(p)) << 2;
}

/** A's panels: see forward-complex.ts for the scales. */
export function loadDecays(p: usize, panel: usize, channel: i32, lanes: i32): void {
  const source = params.A(p) + stateOffset(p, 0, channel);
  loadPanel(panel, source, params.columns(p), lanes, LOG2_E, params.isComplex(p) ? TWO_OVER_PI : LOG2_E);
}

/** Panels of a constant coefficient, state or gradient; zeros where it is absent. */
export function loadStates(p: usize, panel: usize, source: usize, b: i32, channel: i32, lanes: i32): void {
  if (source == 0) clearPanel(panel, params.columns(p));
  else loadPanel(panel, source + stateOffset(p, b, channel), params.columns(p), lanes, 1, 1);
}

/** Where the state of a vector of four channels at the start of a tile is kept for backward. */
export function tileState(p: usize, b: i32, group: i32, tile: i32, vector: i32): usize {
  const tiles = (params.length(p) + TILE - 1) / TILE;
  const vectors = vectorsOf(params.channels(p) / params.groups(p));
  const index = <usize>(((b * params.groups(p) + group) * tiles + tile) * vectors + vector);
  return params.tileStates(p) + ((index * <usize>params.columns(p)) << 4);
}

function forwardBlock(p: usize, work: usize, b: i32, group: i32, block: i32, output: bool): void {
  const perGroup = params.channels(p) / params.groups(p);
  const channel = group * perGroup + block * BLOCK;
  const width = min(BLOCK, perGroup - block * BLOCK);
  const vectors = vectorsOf(width);
  const columns = params.columns(p);
  const panelBytes = <usize>columns << 4;
  const dtTile = work, inputTile = dtTile + TILE_BYTES, yTile = inputTile + TILE_BYTES;
  const decays = yTile + TILE_BYTES, states = decays + 4 * panelBytes;
  const panelsB = states + 4 * panelBytes, panelsC = panelsB + 4 * panelBytes;
  const variableB = params.variableB(p), variableC = params.variableC(p);
  const complex = params.isComplex(p);
  for (let v = 0; v < vectors; v++) {
    const at = <usize>v * panelBytes, first = channel + (v << 2), lanes = lanesOf(width, v);
    loadDecays(p, decays + at, first, lanes);
    loadStates(p, states + at, params.initialState(p), b, first, lanes);
    if (!variableB) loadStates(p, panelsB + at, params.B(p), 0, first, lanes);
    if (!variableC) loadStates(p, panelsC + at, params.C(p), 0, first, lanes);
  }
  const strideB = variableB ? <usize>(params.groups(p) * columns) << 2 : <usize>0;
  const strideC = variableC ? <usize>(params.groups(p) * columns) << 2 : <usize>0;
  const dState = params.dState(p);
  for (let t0 = 0, length = params.length(p); t0 < length; t0 += TILE) {
    const count = min(TILE, length - t0);
    if (params.tileStates(p) != 0) {
      for (let v = 0; v < vectors; v++) {
        memory.copy(tileState(p, b, group, t0 / TILE, block * 4 + v), states + <usize>v * panelBytes, panelBytes);
      }
    }
    prepareTile(p, b, t0, count, channel, width, dtTile, inputTile, yTile);
    for (let from = 0; from < count;) {
      const to = params.segmentEnd(p, b, t0 + from, t0 + count) - t0;
      if (params.resetAt(p, b, t0 + from)) clearPanel(states, vectors * columns);
      const offset = groupOffset(p, b, t0 + from, group);
      for (let v = 0; v < vectors; v++) {
        const at = <usize>v * VECTOR_TILE + (<usize>from << 4), panel = <usize>v * panelBytes;
        const B = variableB ? params.B(p) + offset : panelsB + panel;
        const C = variableC ? params.C(p) + offset : panelsC + panel;
        if (complex) {
          forwardSpanComplex(output, variableB, variableC, dtTile + at, inputTile + at, yTile + at,
            decays + panel, states + panel, B, C, strideB, strideC, to - from, dState);
        } else {
          forwardSpanReal(output, variableB, variableC, dtTile + at, inputTile + at, yTile + at,
            decays + panel, states + panel, B, C, strideB, strideC, to - from, dState);
        }
      }
      from = to;
    }
    if (output) finishTile(p, b, t0, count, channel, width, yTile);
  }
  if (output && params.lastState(p) != 0) {
    for (let v = 0; v < vectors; v++) {
      const target = params.lastState(p) + stateOffset(p, b, channel + (v << 2));
      storePanel(states + <usize>v * panelBytes, target, columns, lanesOf(width, v));
    }
  }
}

/** All of this thread's tasks: with `output` y and lastState are written, without it only tileStates. */
export function forwardBlocks(p: usize, tid: i32, threads: i32, output: bool): void {
  const groups = params.groups(p);
  const blocks = (params.channels(p) / groups + BLOCK - 1) / BLOCK;
  const tasks = params.batch(p) * groups * blocks;
  const work = params.work(p, tid);
  const end = params.firstTask(tasks, tid + 1, threads);
  for (let task = params.firstTask(tasks, tid, threads); task < end; task++) {
    const row = task / blocks;
    forwardBlock(p, work, row / groups, row % groups, task % blocks, output);
  }
}
