// h_t = exp(dt_t A) h_{t-1} + (dt_t u_t) B_t,  y_t += sum_n C_t,n h_t,n  over one span of steps, four channels in the
// lanes, real states. Four states stay in registers while time runs; dt, dt u and y are shared by the four.
//
// Measured losers (ms for length 2048, 1536 channels, 16 states, relaxed build, Node 24; this one 29): time outside
// and states inside 63 (constants in code) / 32, lanes over states 33-38, one state at a time 38, two 32, Horner 33.
import { exp2, madd } from './vector';

/** A variable coefficient is one float per state and step, a constant one a panel vector per state. */
@inline function coefficient(variable: bool, at: usize, k: usize): v128 {
  return variable ? v128.load32_splat(at + (k << 2)) : v128.load(at + (k << 4));
}

@inline function advance(dt: v128, input: v128, A: v128, B: v128, h: v128): v128 {
  return madd(exp2(f32x4.mul(dt, A)), h, f32x4.mul(input, B));
}

@inline function span(
  output: bool, variableB: bool, variableC: bool,
  dt: usize, input: usize, y: usize, A: usize, h: usize,
  B: usize, C: usize, strideB: usize, strideC: usize, count: i32, dState: i32,
): void {
  const end = <usize>count << 4;
  let n = 0;
  for (; n + 4 <= dState; n += 4, A += 64, h += 64) {
    let h0 = v128.load(h), h1 = v128.load(h, 16), h2 = v128.load(h, 32), h3 = v128.load(h, 48);
    let b = B + (<usize>n << (variableB ? 2 : 4)), c = C + (<usize>n << (variableC ? 2 : 4));
    for (let t: usize = 0; t < end; t += 16) {
      const d = v128.load(dt + t), x = v128.load(input + t);
      h0 = advance(d, x, v128.load(A), coefficient(variableB, b, 0), h0);
      h1 = advance(d, x, v128.load(A, 16), coefficient(variableB, b, 1), h1);
      h2 = advance(d, x, v128.load(A, 32), coefficient(variableB, b, 2), h2);
      h3 = advance(d, x, v128.load(A, 48), coefficient(variableB, b, 3), h3);
      if (output) {
        let sum = madd(h0, coefficient(variableC, c, 0), v128.load(y + t));
        sum = madd(h1, coefficient(variableC, c, 1), sum);
        sum = madd(h2, coefficient(variableC, c, 2), sum);
        v128.store(y + t, madd(h3, coefficient(variableC, c, 3), sum));
      }
      b += strideB;
      c += strideC;
    }
    v128.store(h, h0);
    v128.store(h, h1, 16);
    v128.store(h, h2, 32);
    v128.store(h, h3, 48);
  }
  for (; n < dState; n++, A += 16, h += 16) {
    let state = v128.load(h);
    const a = v128.load(A);
    let b = B + (<usize>n << (variableB ? 2 : 4)), c = C + (<usize>n << (variableC ? 2 : 4));
    for (let t: usize = 0; t < end; t += 16) {
      state = advance(v128.load(dt + t), v128.load(input + t), a, coefficient(variableB, b, 0), state);
      if (output) v128.store(y + t, madd(state, coefficient(variableC, c, 0), v128.load(y + t)));
      b += strideB;
      c += strideC;
    }
    v128.store(h, state);
  }
}

function spanVV(
  dt: usize, x: usize, y: usize, A: usize, h: usize, B: usize, C: usize, sB: usize, sC: usize, count: i32, n: i32,
): void {
  span(true, true, true, dt, x, y, A, h, B, C, sB, sC, count, n);
}
function spanVC(
  dt: usize, x: usize, y: usize, A: usize, h: usize, B: usize, C: usize, sB: usize, sC: usize, count: i32, n: i32,
): void {
  span(true, true, false, dt, x, y, A, h, B, C, sB, sC, count, n);
}
function spanCV(
  dt: usize, x: usize, y: usize, A: usize, h: usize, B: usize, C: usize, sB: usize, sC: usize, count: i32, n: i32,
): void {
  span(true, false, true, dt, x, y, A, h, B, C, sB, sC, count, n);
}
function spanCC(
  dt: usize, x: usize, y: usize, A: usize, h: usize, B: usize, C: usize, sB: usize, sC: usize, count: i32, n: i32,
): void {
  span(true, false, false, dt, x, y, A, h, B, C, sB, sC, count, n);
}
function statesV(dt: usize, x: usize, A: usize, h: usize, B: usize, sB: usize, count: i32, n: i32): void {
  span(false, true, true, dt, x, 0, A, h, B, 0, sB, 0, count, n);
}
function statesC(dt: usize, x: usize, A: usize, h: usize, B: usize, sB: usize, count: i32, n: i32): void {
  span(false, false, true, dt, x, 0, A, h, B, 0, sB, 0, count, n);
}

/** B, C: first step's floats with the byte stride between steps, or a panel and 0. Without `output` only h advances. */
export function forwardSpanReal(
  output: bool, variableB: bool, variableC: bool,
  dt: usize, input: usize, y: usize, A: usize, h: usize,
  B: usize, C: usize, strideB: usize, strideC: usize, count: i32, dState: i32,
): void {
  if (!output) {
    if (variableB) statesV(dt, input, A, h, B, strideB, count, dState);
    else statesC(dt, input, A, h, B, strideB, count, dState);
  } else if (variableB) {
    if (variableC) spanVV(dt, input, y, A, h, B, C, strideB, strideC, count, dState);
    else spanVC(dt, input, y, A, h, B, C, strideB, strideC, count, dState);
  } else {
    if (variableC) spanCV(dt, input, y, A, h, B, C, strideB, strideC, count, dState);
    else spanCC(dt, input, y, A, h, B, C, strideB, strideC, count, dState);
  }
}
