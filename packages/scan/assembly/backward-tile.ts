// Backward's work per (time step, channel) around the states: the gate and dt before, their gradients after.
import * as params from './params';
import { channelValues } from './panel';
import { VECTOR_TILE, lanesOf, load4, stepOffset, store4, vectorsOf } from './tile';
import { LN_2, expOfMagnitude, madd, one, sigmoid, softplus } from './vector';

/**
 * dt, input = dt u, y = D u as in prepareTile, and g = gradY silu(z) times 2 in complex mode (y is twice a real part).
 * The sums over states that the spans add to, sumB = sum_n Re(s conj B) and sumA = sum_n s a h A log2(e), start at 0.
 * dtSlope = d dt / d delta (with softplus) and gateSlope = (silu(z))' (with a gate) wait for finishBackwardTile.
 */
export function prepareBackwardTile(
  p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32,
  dtTile: usize, inputTile: usize, yTile: usize, gTile: usize, sumBTile: usize, sumATile: usize,
  dtSlopeTile: usize, gateSlopeTile: usize,
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
      if (smooth) {
        const e = expOfMagnitude(dt);
        v128.store(dtSlopeTile + at, sigmoid(dt, e));
        dt = softplus(dt, e);
      }
      const x = load4(params.u(p) + row, lanes);
      v128.store(dtTile + at, dt);
      v128.store(inputTile + at, f32x4.mul(dt, x));
      v128.store(yTile + at, f32x4.mul(skip, x));
      let g = f32x4.mul(load4(params.gradY(p) + row, lanes), gScale);
      if (gated) {
        const z = load4(params.z(p) + row, lanes);
        const s = sigmoid(z, expOfMagnitude(z)), gate = f32x4.mul(z, s);
        v128.store(gateSlopeTile + at, madd(gate, f32x4.sub(one(), s), s));
        g = f32x4.mul(g, gate);
      }
      v128.store(gTile + at, g);
      v128.store(sumBTile + at, i32x4.splat(0));
      v128.store(sumATile + at, i32x4.splat(0));
    }
  }
}

/**
 * du = D g + dt sumB;  ddt = u sumB + sumA ln 2;  ddelta = ddt dtSlope;  dz = gradY y gateSlope.
 * Adds the tile's part of dD and ddeltaBias to `sumsD` and `sumsBias` (one vector per four channels).
 */
export function finishBackwardTile(
  p: usize, b: i32, t0: i32, count: i32, channel: i32, width: i32,
  dtTile: usize, yTile: usize, gTile: usize, sumBTile: usize, sumATile: usize, dtSlopeTile: usize, gateSlopeTile: usize,
  sumsD: usize, sumsBias: usize,
): void {
  const stride = <usize>params.channels(p) << 2;
  const first = stepOffset(p, b, t0, channel);
  const smooth = params.deltaSoftplus(p);
  const gatePresent = params.z(p) != 0 && params.gradZ(p) != 0;
  const complex = params.isComplex(p);
  const gScale = f32x4.splat(complex ? 0.5 : 1.0), yScale = f32x4.splat(complex ? 2.0 : 1.0);
  for (let v = 0, vectors = vectorsOf(width); v < vectors; v++) {
    const lanes = lanesOf(width, v);
    const skip = channelValues(params.D(p), channel + (v << 2), lanes);
    let row = first + (<usize>v << 4);
    let at = <usize>v * VECTOR_TILE;
    let sumD = i32x4.splat(0), sumBias = i32x4.splat(0);
    for (let t = 0; t < count; t++, row += stride, at += 16) {
      const x = load4(params.u(p) + row, lanes);
      const g = f32x4.mul(v128.load(gTile + at), gScale);
      const sumB = v128.load(sumBTile + at);
      let gradDt = madd(x, sumB, f32x4.mul(v128.load(sumATile + at), f32x4.splat(LN_2)));
      if (smooth) gradDt = f32x4.mul(gradDt, v128.load(dtSlopeTile + at));
      sumD = madd(g, x, sumD);
      sumBias = f32x4.add(sumBias, gradDt);
      if (params.gradU(p) != 0) {
        store4(params.gradU(p) + row, madd(v128.load(dtTile + at), sumB, f32x4.mul(skip, g)), lanes);
      }
      if (params.gradDelta(p) != 0) store4(params.gradDelta(p) + row, gradDt, lanes);
      if (gatePresent) {
        const gradGate = f32x4.mul(load4(params.gradY(p) + row, lanes), f32x4.mul(v128.load(yTile + at), yScale));
        store4(params.gradZ(p) + row, f32x4.mul(gradGate, v128.load(gateSlopeTile + at)), lanes);
      }
    }
    const sum = <usize>v << 4;
    v128.store(sumsD + sum, f32x4.add(v128.load(sumsD + sum), sumD));
    v128.store(sumsBias + sum, f32x4.add(v128.load(sumsBias + sum), sumBias));
  }
}
