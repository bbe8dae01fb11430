// Backward's work per (time step, channel) around the states: the gate and dt before, their gradients after.
import * as params from './params';
import { channelValues } from './panel';
import { VECTOR_TILE, lanesOf, stepOffset, vectorsOf } from './tile';
import { LN_2, loadLanes, madd, one, sigmoid, softplus, storeLanes } from './vector';

@inline function load4(at: usize, lanes: i32): v128 { return lanes == 4 ? v128.load(at) : loadLanes(at, lanes); }
@inline function store4(at: usize, value: v128, lanes: i32): void {
  if (lanes == 4) v128.store(at, value);
  else storeLanes(at, value, lanes);
}

/**
 * dt, input = dt u, y = D u as in prepareTile, and g = gradY silu(z) times 2 in complex mode (y is twice a real part).
 * The sums over states that the spans add to, sumB = sum_n Re(s conj B) and sumA = sum_n s a h A log2(e), start at 0.
 */
export function prepareBackwardTile(
  p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32,
  dtTile: usize, inputTile: usize, yTile: usize, gTile: usize, sumBTile: usize, sumATile: usize,
): void {
  const stride = <usize>params.channels(p) << 2;
  const first = stepOffset(p, b, t0, channel);
  const smooth = params.deltaSoftplus(p), gated = params.z(p) != 0;
  const complex = params.isComplex(p);
  const skipScale = f32x4.splat(complex ? 0.5 : 1.0), gScale = f32x4.splat(complex ? 2.0 : 1.0);
  for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
    const lanes = lanesOf(width, v);
    const bias = channelValues(params.deltaBias(p), channel + (v << 2), lanes);
    const skip = f32x4.mul(channelValues(params.D(p), channel + (v << 2), lanes), skipScale);
    let row = first + (<usize>v << 4);
    let at = <usize>v * VECTOR_TILE;
    for (let t = 0; t < count; t++, row += stride, at += 16) {
      let dt = f32x4.add(load4(params.delta(p) + row, lanes), bias);
      if (smooth) dt = softplus(dt);
      const x = load4(params.u(p) + row, lanes);
      v128.store(dtTile + at, dt);
      v128.store(inputTile + at, f32x4.mul(dt, x));
      v128.store(yTile + at, f32x4.mul(skip, x));
      let g = f32x4.mul(load4(params.gradY(p) + row, lanes), gScale);
      if (gated) {
        const z = load4(params.z(p) + row, lanes);
        g = f32x4.mul(g, f32x4.mul(z, sigmoid(z)));
      }
      v128.store(gTile + at, g);
      v128.store(sumBTile + at, i32x4.splat(0));
      v128.store(sumATile + at, i32x4.splat(0));
    }
  }
}

/**
 * du = D g + dt sumB;  ddt = u sumB + sumA ln 2;  ddelta = ddt softplus';  dz = gradY y (silu(z))'.
 * Adds the tile's part of dD and ddeltaBias to `sumsD` and `sumsBias` (one vector per four channels).
 */
export function finishBackwardTile(
  p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32,
  dtTile: usize, yTile: usize, gTile: usize, sumBTile: usize, sumATile: usize, sumsD: usize, sumsBias: usize,
): void {
  const stride = <usize>params.channels(p) << 2;
  const first = stepOffset(p, b, t0, channel);
  const smooth = params.deltaSoftplus(p);
  const gatePresent = params.z(p) != 0 && params.gradZ(p) != 0;
  const complex = params.isComplex(p);
  const gScale = f32x4.splat(complex ? 0.5 : 1.0), yScale = f32x4.splat(complex ? 2.0 : 1.0);
  for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
    const lanes = lanesOf(width, v);
    const bias = channelValues(params.deltaBias(p), channel + (v << 2), lanes);
    const skip = channelValues(params.D(p), channel + (v << 2), lanes);
    let row = first + (<usize>v << 4);
    let at = <usize>v * VECTOR_TILE;
    let sumD = i32x4.splat(0), sumBias = i32x4.splat(0);
    for (let t = 0; t < count; t++, row += stride, at += 16) {
      const x = load4(params.u(p) + row, lanes);
      const g = f32x4.mul(v128.load(gTile + at), gScale);
      const sumB = v128.load(sumBTile + at);
      let gradDt = madd(x, sumB, f32x4.mul(v128.load(sumATile + at), f32x4.splat(LN_2)));
      if (smooth) gradDt = f32x4.mul(gradDt, sigmoid(f32x4.add(load4(params.delta(p) + row, lanes), bias)));
      sumD = madd(g, x, sumD);
      sumBias = f32x4.add(sumBias, gradDt);
      if (params.gradU(p) != 0) {
        store4(params.gradU(p) + row, madd(v128.load(dtTile + at), sumB, f32x4.mul(skip, g)), lanes);
      }
      if (params.gradDelta(p) != 0) store4(params.gradDelta(p) + row, gradDt, lanes);
      if (gatePresent) {
        const z = load4(params.z(p) + row, lanes);
        const s = sigmoid(z);
        const slope = madd(f32x4.mul(z, s), f32x4.sub(one(), s), s);
        const y = f32x4.mul(v128.load(yTile + at), yScale);
        store4(params.gradZ(p) + row, f32x4.mul(f32x4.mul(load4(params.gradY(p) + row, lanes), y), slope), lanes);
      }
    }
    const sum = <usize>v << 4;
    v128.store(sumsD + sum, f32x4.add(v128.load(sumsD + sum), sumD));
    v128.store(sumsBias + sum, f32x4.add(v128.load(sumsBias + sum), sumBias));
  }
}
