// One step (length 1) with the states where they lie, (batch, channels, dState): lanes over states, no scratch. For
// real states in multiples of 4; everything else goes through forwardBlocks, which does the same with panels.
import * as params from './params';
import { channelValues } from './panel';
import { forwardBlocks, groupOffset, stateOffset } from './forward';
import { LOG2_E, exp2, expOfMagnitude, laneSums, loadLanes, madd, silu, softplus, storeLanes } from './vector';

/** Advances the states of one channel; returns C h, still spread over the lanes. */
@inline function advanceChannel(
  dt: v128, input: v128, A: usize, B: usize, C: usize, from: usize, to: usize, bytes: usize,
): v128 {
  const scaled = f32x4.mul(dt, f32x4.splat(LOG2_E));
  let y = i32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 16) {
    const before = from != 0 ? v128.load(from + at) : i32x4.splat(0);
    const h = madd(exp2(f32x4.mul(scaled, v128.load(A + at))), before, f32x4.mul(input, v128.load(B + at)));
    if (to != 0) v128.store(to + at, h);
    y = madd(h, v128.load(C + at), y);
  }
  return y;
}

function updateVector(p: usize, b: i32, group: i32, channel: i32, lanes: i32): void {
  const at = <usize>(b * params.channels(p) + channel) << 2;
  let dt = f32x4.add(loadLanes(params.delta(p) + at, lanes), channelValues(params.deltaBias(p), channel, lanes));
  if (params.deltaSoftplus(p)) dt = softplus(dt, expOfMagnitude(dt));
  const x = loadLanes(params.u(p) + at, lanes);
  const input = f32x4.mul(dt, x);
  const bytes = <usize>params.dState(p) << 2;
  const state = stateOffset(p, b, channel), own = stateOffset(p, 0, channel), shared = groupOffset(p, b, 0, group);
  const A = params.A(p) + own;
  const B = params.B(p) + (params.variableB(p) ? shared : own), nextB = params.variableB(p) ? <usize>0 : bytes;
  const C = params.C(p) + (params.variableC(p) ? shared : own), nextC = params.variableC(p) ? <usize>0 : bytes;
  const start = params.resetAt(p, b, 0) ? <usize>0 : params.initialState(p), end = params.lastState(p);
  const from = start != 0 ? start + state : <usize>0, nextFrom = start != 0 ? bytes : <usize>0;
  const to = end != 0 ? end + state : <usize>0, nextTo = end != 0 ? bytes : <usize>0;
  const y0 = advanceChannel(v128.shuffle<f32>(dt, dt, 0, 0, 0, 0), v128.shuffle<f32>(input, input, 0, 0, 0, 0),
    A, B, C, from, to, bytes);
  let y1 = i32x4.splat(0), y2 = i32x4.splat(0), y3 = i32x4.splat(0);
  if (lanes > 1) {
    y1 = advanceChannel(v128.shuffle<f32>(dt, dt, 1, 1, 1, 1), v128.shuffle<f32>(input, input, 1, 1, 1, 1),
      A + bytes, B + nextB, C + nextC, from + nextFrom, to + nextTo, bytes);
  }
  if (lanes > 2) {
    y2 = advanceChannel(v128.shuffle<f32>(dt, dt, 2, 2, 2, 2), v128.shuffle<f32>(input, input, 2, 2, 2, 2),
      A + 2 * bytes, B + 2 * nextB, C + 2 * nextC, from + 2 * nextFrom, to + 2 * nextTo, bytes);
  }
  if (lanes > 3) {
    y3 = advanceChannel(v128.shuffle<f32>(dt, dt, 3, 3, 3, 3), v128.shuffle<f32>(input, input, 3, 3, 3, 3),
      A + 3 * bytes, B + 3 * nextB, C + 3 * nextC, from + 3 * nextFrom, to + 3 * nextTo, bytes);
  }
  let y = madd(channelValues(params.D(p), channel, lanes), x, laneSums(y0, y1, y2, y3));
  if (params.z(p) != 0) y = f32x4.mul(y, silu(loadLanes(params.z(p) + at, lanes)));
  storeLanes(params.y(p) + at, y, lanes);
}

export function stateUpdate(p: usize, tid: i32, threads: i32): void {
  if (params.isComplex(p) || (params.dState(p) & 3) != 0) {
    forwardBlocks(p, tid, threads, true);
    return;
  }
  const groups = params.groups(p);
  const perGroup = params.channels(p) / groups;
  const vectors = (perGroup + 3) >> 2;
  const tasks = params.batch(p) * groups * vectors;
  const end = params.firstTask(tasks, tid + 1, threads);
  for (let task = params.firstTask(tasks, tid, threads); task < end; task++) {
    const row = task / vectors, vector = task % vectors;
    const group = row % groups;
    updateVector(p, row / groups, group, group * perGroup + (vector << 2), min(4, perGroup - (vector << 2)));
  }
}
