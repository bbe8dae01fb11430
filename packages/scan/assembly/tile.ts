// What happens once per (time step, channel), around the recurrence over the states. A tile is TILE steps of BLOCK
// channels, kept per vector of four channels as (vectors, TILE, 4 lanes), so that the spans run through it in order.
import * as params from './params';
import { BLOCK, TILE } from './params';
import { channelValues } from './panel';
import { expOfMagnitude, loadLanes, silu, softplus, storeLanes } from './vector';

/**
 * Bytes of one vector's part of a tile, and of a whole tile. 64 more than its contents, so that the same step of two
 * tiles doesn't lie a multiple of 4096 bytes apart, where loads wait for unrelated stores (85 -> 81 ms in backward).
 */
@inline export const VECTOR_TILE: usize = 1024;
@inline export const TILE_BYTES: usize = 4160;

@inline export function vectorsOf(channels: i32): i32 { return (channels + 3) >> 2; }
@inline export function lanesOf(channels: i32, vector: i32): i32 { return min(4, channels - (vector << 2)); }

/** Byte offset of (b, t, channel) in a (batch, length, channels) array. */
@inline export function stepOffset(p: usize, b: i32, t: i32, channel: i32): usize {
  return (<usize>(b * params.length(p) + t) * <usize>params.channels(p) + <usize>channel) << 2;
}

@inline export function load4(at: usize, lanes: i32): v128 { return lanes == 4 ? v128.load(at) : loadLanes(at, lanes); }
@inline export function store4(at: usize, value: v128, lanes: i32): void {
  if (lanes == 4) v128.store(at, value);
  else storeLanes(at, value, lanes);
}

/**
 * dt = [softplus](delta + deltaBias), input = dt u, y = D u * skipScale for `count` steps of `width` channels from
 * `channel` on. skipScale is 1/2 in complex mode, where y is doubled afterwards.
 */
export function prepareTile(
  p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32, dtTile: usize, inputTile: usize, yTile: usize,
): void {
  const stride = <usize>params.channels(p) << 2;
  const first = stepOffset(p, b, t0, channel);
  const deltas = params.delta(p) + first, inputs = params.u(p) + first;
  const smooth = params.deltaSoftplus(p);
  const skipScale = f32x4.splat(params.isComplex(p) ? 0.5 : 1.0);
  for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
    const lanes = lanesOf(width, v);
    const bias = channelValues(params.deltaBias(p), channel + (v << 2), lanes);
    const skip = f32x4.mul(channelValues(params.D(p), channel + (v << 2), lanes), skipScale);
    let row = <usize>v << 4;
    let at = <usize>v * VECTOR_TILE;
    for (let t = 0; t < count; t++, row += stride, at += 16) {
      let dt = f32x4.add(load4(deltas + row, lanes), bias);
      if (smooth) dt = softplus(dt, expOfMagnitude(dt));
      const x = load4(inputs + row, lanes);
      v128.store(dtTile + at, dt);
      v128.store(inputTile + at, f32x4.mul(dt, x));
      v128.store(yTile + at, f32x4.mul(skip, x));
    }
  }
}

/** Writes y, times silu(z) where there is a gate. */
export function finishTile(p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32, yTile: usize): void {
  const stride = <usize>params.channels(p) << 2;
  const first = stepOffset(p, b, t0, channel);
  const outputs = params.y(p) + first, gates = params.z(p) + first;
  const gated = params.z(p) != 0;
  const scale = f32x4.splat(params.isComplex(p) ? 2.0 : 1.0);
  for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
    const lanes = lanesOf(width, v);
    let row = <usize>v << 4;
    let at = yTile + <usize>v * VECTOR_TILE;
    for (let t = 0; t < count; t++, row += stride, at += 16) {
      let y = f32x4.mul(v128.load(at), scale);
      if (gated) y = f32x4.mul(y, silu(load4(gates + row, lanes)));
      store4(outputs + row, y, lanes);
    }
  }
}
