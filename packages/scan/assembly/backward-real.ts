// Backward through one span of steps for real states, four channels in the lanes, two states at a time. Pass 1 goes
// forward from the span's first state and keeps every a_t = exp(dt A) and h_t; pass 2 goes back with the adjoint
//   s_t = C_t g_t + a_{t+1} s_{t+1},  q_t = a_t s_t h_{t-1}
//   dC_t += g h_t,  dB_t += s dt u,  sumB_t += s B_t,  sumA_t += A q_t,  dA += dt q_t,  y_t += C_t h_t (for the gate).
// a h_{t-1} is formed from both, not as h_t - dt B u, which cancels where a is small.
//
// Measured losers (ms of this phase for length 2048, 1536 channels, 16 states; this one 80): one state at a time 105,
// h_t read back instead of kept in a register 95, three or four states 92 and 90.
import { TILE } from './params';
import { exp2, madd } from './vector';

@inline function coefficient(variable: bool, at: usize, k: usize): v128 {
  return variable ? v128.load32_splat(at + (k << 2)) : v128.load(at + (k << 4));
}
@inline function accumulate(at: usize, a: v128, b: v128): void { v128.store(at, madd(a, b, v128.load(at))); }
/** Place of column m at step 0 in sums laid out as (columns / 4, TILE, 4 columns, 4 lanes). */
@inline export function columnSum(sums: usize, m: i32): usize {
  return sums + <usize>(m >> 2) * <usize>(TILE * 64) + (<usize>(m & 3) << 4);
}

/**
 * dt, input, y, g, sumB, sumA: this vector's tile rows from the span's first step on. decays, adjoint, gradA, panelB,
 * panelC, gradB, gradC: panels. start: panel of the state before the span, or 0. B, C: first step's floats (variable).
 * sumsB, sumsC: the block's dB and dC per step (variable). kept: room for (2 TILE + 1) pairs of vectors.
 */
@inline function span(
  variableB: bool, variableC: bool, count: i32, dState: i32,
  dt: usize, input: usize, y: usize, g: usize, sumB: usize, sumA: usize,
  decays: usize, start: usize, adjoint: usize, gradA: usize,
  B: usize, strideB: usize, gradB: usize, C: usize, strideC: usize, gradC: usize,
  sumsB: usize, sumsC: usize, kept: usize,
): void {
  const end = <usize>count << 4;
  const states = kept + <usize>(TILE * 32);
  let n = 0;
  for (; n + 2 <= dState; n += 2) {
    const panel = <usize>n << 4;
    const A0 = v128.load(decays + panel), A1 = v128.load(decays + panel, 16);
    let h0 = start != 0 ? v128.load(start + panel) : i32x4.splat(0);
    let h1 = start != 0 ? v128.load(start + panel, 16) : i32x4.splat(0);
    v128.store(states, h0);
    v128.store(states, h1, 16);
    let b = B + (<usize>n << (variableB ? 2 : 4)), c = C + (<usize>n << (variableC ? 2 : 4));
    let row = kept;
    for (let t: usize = 0; t < end; t += 16, row += 32) {
      const d = v128.load(dt + t), x = v128.load(input + t);
      const a0 = exp2(f32x4.mul(d, A0)), a1 = exp2(f32x4.mul(d, A1));
      h0 = madd(a0, h0, f32x4.mul(x, coefficient(variableB, b, 0)));
      h1 = madd(a1, h1, f32x4.mul(x, coefficient(variableB, b, 1)));
      v128.store(row, a0);
      v128.store(row, a1, 16);
      v128.store(row, h0, TILE * 32 + 32);
      v128.store(row, h1, TILE * 32 + 48);
      b += strideB;
    }
    c += strideC * <usize>count;
    let s0 = v128.load(adjoint + panel), s1 = v128.load(adjoint + panel, 16);
    let dA0 = v128.load(gradA + panel), dA1 = v128.load(gradA + panel, 16);
    let dB0 = i32x4.splat(0), dB1 = i32x4.splat(0), dC0 = i32x4.splat(0), dC1 = i32x4.splat(0);
    let sumRowB = columnSum(sumsB, n) + (end << 2), sumRowC = columnSum(sumsC, n) + (end << 2);
    for (let t: usize = end; t > 0;) {
      t -= 16;
      row -= 32;
      b -= strideB;
      c -= strideC;
      sumRowB -= 64;
      sumRowC -= 64;
      const d = v128.load(dt + t), x = v128.load(input + t), gt = v128.load(g + t);
      const c0 = coefficient(variableC, c, 0), c1 = coefficient(variableC, c, 1);
      v128.store(y + t, madd(c1, h1, madd(c0, h0, v128.load(y + t))));
      if (variableC) {
        accumulate(sumRowC, gt, h0);
        accumulate(sumRowC + 16, gt, h1);
      } else {
        dC0 = madd(gt, h0, dC0);
        dC1 = madd(gt, h1, dC1);
      }
      s0 = madd(c0, gt, s0);
      s1 = madd(c1, gt, s1);
      const sum = madd(s0, coefficient(variableB, b, 0), v128.load(sumB + t));
      v128.store(sumB + t, madd(s1, coefficient(variableB, b, 1), sum));
      if (variableB) {
        accumulate(sumRowB, s0, x);
        accumulate(sumRowB + 16, s1, x);
      } else {
        dB0 = madd(s0, x, dB0);
        dB1 = madd(s1, x, dB1);
      }
      s0 = f32x4.mul(s0, v128.load(row));
      s1 = f32x4.mul(s1, v128.load(row, 16));
      h0 = v128.load(row, TILE * 32);
      h1 = v128.load(row, TILE * 32 + 16);
      const q0 = f32x4.mul(s0, h0), q1 = f32x4.mul(s1, h1);
      v128.store(sumA + t, madd(A1, q1, madd(A0, q0, v128.load(sumA + t))));
      dA0 = madd(d, q0, dA0);
      dA1 = madd(d, q1, dA1);
    }
    v128.store(adjoint + panel, s0);
    v128.store(adjoint + panel, s1, 16);
    v128.store(gradA + panel, dA0);
    v128.store(gradA + panel, dA1, 16);
    if (!variableB) {
      v128.store(gradB + panel, f32x4.add(v128.load(gradB + panel), dB0));
      v128.store(gradB + panel, f32x4.add(v128.load(gradB + panel, 16), dB1), 16);
    }
    if (!variableC) {
      v128.store(gradC + panel, f32x4.add(v128.load(gradC + panel), dC0));
      v128.store(gradC + panel, f32x4.add(v128.load(gradC + panel, 16), dC1), 16);
    }
  }
  if (n < dState) { // the last of an odd number of states
    const panel = <usize>n << 4;
    const A = v128.load(decays + panel);
    let h = start != 0 ? v128.load(start + panel) : i32x4.splat(0);
    v128.store(states, h);
    let b = B + (<usize>n << (variableB ? 2 : 4)), c = C + (<usize>n << (variableC ? 2 : 4));
    let row = kept;
    for (let t: usize = 0; t < end; t += 16, row += 32) {
      const a = exp2(f32x4.mul(v128.load(dt + t), A));
      h = madd(a, h, f32x4.mul(v128.load(input + t), coefficient(variableB, b, 0)));
      v128.store(row, a);
      v128.store(row, h, TILE * 32 + 32);
      b += strideB;
    }
    c += strideC * <usize>count;
    let s = v128.load(adjoint + panel), dA = v128.load(gradA + panel), dB = i32x4.splat(0), dC = i32x4.splat(0);
    let sumRowB = columnSum(sumsB, n) + (end << 2), sumRowC = columnSum(sumsC, n) + (end << 2);
    for (let t: usize = end; t > 0;) {
      t -= 16;
      row -= 32;
      b -= strideB;
      c -= strideC;
      sumRowB -= 64;
      sumRowC -= 64;
      const x = v128.load(input + t), gt = v128.load(g + t), ct = coefficient(variableC, c, 0);
      accumulate(y + t, ct, h);
      if (variableC) accumulate(sumRowC, gt, h);
      else dC = madd(gt, h, dC);
      s = madd(ct, gt, s);
      accumulate(sumB + t, s, coefficient(variableB, b, 0));
      if (variableB) accumulate(sumRowB, s, x);
      else dB = madd(s, x, dB);
      s = f32x4.mul(s, v128.load(row));
      h = v128.load(row, TILE * 32);
      const q = f32x4.mul(s, h);
      accumulate(sumA + t, A, q);
      dA = madd(v128.load(dt + t), q, dA);
    }
    v128.store(adjoint + panel, s);
    v128.store(gradA + panel, dA);
    if (!variableB) v128.store(gradB + panel, f32x4.add(v128.load(gradB + panel), dB));
    if (!variableC) v128.store(gradC + panel, f32x4.add(v128.load(gradC + panel), dC));
  }
}

function spanVV(
  count: i32, n: i32, dt: usize, x: usize, y: usize, g: usize, sumB: usize, sumA: usize, A: usize, start: usize,
  s: usize, dA: usize, B: usize, sB: usize, dB: usize, C: usize, sC: usize, dC: usize, sumsB: usize, sumsC: usize,
  kept: usize,
): void {
  span(true, true, count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
}
function spanVC(
  count: i32, n: i32, dt: usize, x: usize, y: usize, g: usize, sumB: usize, sumA: usize, A: usize, start: usize,
  s: usize, dA: usize, B: usize, sB: usize, dB: usize, C: usize, sC: usize, dC: usize, sumsB: usize, sumsC: usize,
  kept: usize,
): void {
  span(true, false, count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
}
function spanCV(
  count: i32, n: i32, dt: usize, x: usize, y: usize, g: usize, sumB: usize, sumA: usize, A: usize, start: usize,
  s: usize, dA: usize, B: usize, sB: usize, dB: usize, C: usize, sC: usize, dC: usize, sumsB: usize, sumsC: usize,
  kept: usize,
): void {
  span(false, true, count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
}
function spanCC(
  count: i32, n: i32, dt: usize, x: usize, y: usize, g: usize, sumB: usize, sumA: usize, A: usize, start: usize,
  s: usize, dA: usize, B: usize, sB: usize, dB: usize, C: usize, sC: usize, dC: usize, sumsB: usize, sumsC: usize,
  kept: usize,
): void {
  span(false, false, count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
}

/** The span for variable or constant B and C. */
export function backwardSpanReal(
  variableB: bool, variableC: bool,
  count: i32, n: i32, dt: usize, x: usize, y: usize, g: usize, sumB: usize, sumA: usize, A: usize, start: usize,
  s: usize, dA: usize, B: usize, sB: usize, dB: usize, C: usize, sC: usize, dC: usize, sumsB: usize, sumsC: usize,
  kept: usize,
): void {
  if (variableB) {
    if (variableC) spanVV(count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
    else spanVC(count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
  } else {
    if (variableC) spanCV(count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
    else spanCC(count, n, dt, x, y, g, sumB, sumA, A, start, s, dA, B, sB, dB, C, sC, dC, sumsB, sumsC, kept);
  }
}
