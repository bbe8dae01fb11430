// A panel holds one value per (channel, column) of four neighbouring channels with the channels in the lanes:
// (columns, 4 lanes). In memory those values lie as (channels, columns).
import { loadLanes, storeLanes } from './vector';

export function clearPanel(panel: usize, count: i32): void {
  memory.fill(panel, 0, <usize>count << 4);
}

@inline function rowOf(source: usize, columns: i32, lane: i32): usize {
  return source + ((<usize>lane * columns) << 2);
}

/** Reads rows of `lanes` channels, even columns times `evenScale`, odd ones times `oddScale`. Missing lanes are 0. */
export function loadPanel(panel: usize, source: usize, columns: i32, lanes: i32, evenScale: f32, oddScale: f32): void {
  if (lanes < 4) clearPanel(panel, columns);
  for (let lane = 0; lane < lanes; lane++) {
    const row = rowOf(source, columns, lane);
    for (let m = 0; m < columns; m++) {
      const scale = (m & 1) == 0 ? evenScale : oddScale;
      store<f32>(panel + (<usize>m << 4) + (<usize>lane << 2), load<f32>(row + (<usize>m << 2)) * scale);
    }
  }
}

/** Writes rows of `lanes` channels. */
export function storePanel(panel: usize, target: usize, columns: i32, lanes: i32): void {
  for (let lane = 0; lane < lanes; lane++) {
    const row = rowOf(target, columns, lane);
    for (let m = 0; m < columns; m++) {
      store<f32>(row + (<usize>m << 2), load<f32>(panel + (<usize>m << 4) + (<usize>lane << 2)));
    }
  }
}

/** One vector of per-channel values (D, deltaBias), or zeros when absent. */
@inline export function channelValues(source: usize, channel: i32, lanes: i32): v128 {
  return source == 0 ? i32x4.splat(0) : loadLanes(source + (<usize>channel << 2), lanes);
}

@inline export function storeChannelValues(target: usize, channel: i32, value: v128, lanes: i32): void {
  if (target != 0) storeLanes(target + (<usize>channel << 2), value, lanes);
}
