// The span of forward-real.ts for complex states: y_t += sum_n Re(C_t,n h_t,n) (the factor 2 comes later). A panel's
// even columns are Re A log2(e), its odd ones Im A 2/pi, so that exp(dt A) is 2^(dt even) at dt odd quarter turns.
import {
  cosineOfQuarter, exp2, madd, nmadd, quarterRest, quarterTurns, sineOfQuarter, turnCosine, turnSine,
} from './vector';

@inline function coefficient(variable: bool, at: usize, part: usize): v128 {
  return variable ? v128.load32_splat(at + (part << 2)) : v128.load(at + (part << 4));
}

@inline function span(
  output: bool, variableB: bool, variableC: bool,
  dt: usize, input: usize, y: usize, A: usize, h: usize,
  B: usize, C: usize, strideB: usize, strideC: usize, count: i32, dState: i32,
): void {
  const end = <usize>count << 4;
  for (let n = 0; n < dState; n++, A += 32, h += 32) {
    let re = v128.load(h), im = v128.load(h, 16);
    let b = B + (<usize>n << (variableB ? 3 : 5)), c = C + (<usize>n << (variableC ? 3 : 5));
    for (let t: usize = 0; t < end; t += 16) {
      const d = v128.load(dt + t), x = v128.load(input + t);
      const turns = quarterTurns(f32x4.mul(d, v128.load(A, 16)));
      const rest = quarterRest(f32x4.mul(d, v128.load(A, 16)), turns);
      const s = sineOfQuarter(rest), k = cosineOfQuarter(rest);
      const size = exp2(f32x4.mul(d, v128.load(A)));
      const aRe = f32x4.mul(size, turnCosine(turns, s, k)), aIm = f32x4.mul(size, turnSine(turns, s, k));
      const nextRe = nmadd(aIm, im, madd(aRe, re, f32x4.mul(x, coefficient(variableB, b, 0))));
      im = madd(aIm, re, madd(aRe, im, f32x4.mul(x, coefficient(variableB, b, 1))));
      re = nextRe;
      if (output) {
        const sum = madd(re, coefficient(variableC, c, 0), v128.load(y + t));
        v128.store(y + t, nmadd(im, coefficient(variableC, c, 1), sum));
      }
      b += strideB;
      c += strideC;
    }
    v128.store(h, re);
    v128.store(h, im, 16);
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

/** As forwardSpanReal. */
export function forwardSpanComplex(
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
