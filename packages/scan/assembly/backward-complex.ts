// The span of backward-real.ts for complex states, one state at a time. g is already 2 gradY silu(z), and a complex
// gradient is dL/dRe + i dL/dIm, so that products of the forward appear conjugated:
//   s_t = g conj C_t + conj(a_{t+1}) s_{t+1},  q_t = conj(a_t h_{t-1}) s_t
//   dC += g conj h,  dB += s dt u,  sumB += Re(s conj B),  sumA += Re(conj A q),  dA += dt q,  y += Re(C h).
import { TILE } from './params';
import { columnSum } from './backward-real';
import {
  HALF_PI, LN_2,
  cosineOfQuarter, exp2, madd, nmadd, quarterRest, quarterTurns, sineOfQuarter, turnCosine, turnSine,
} from './vector';

@inline function coefficient(variable: bool, at: usize, part: usize): v128 {
  return variable ? v128.load32_splat(at + (part << 2)) : v128.load(at + (part << 4));
}
@inline function accumulate(at: usize, a: v128, b: v128): void { v128.store(at, madd(a, b, v128.load(at))); }
@inline function subtract(at: usize, a: v128, b: v128): void { v128.store(at, nmadd(a, b, v128.load(at))); }

/** Arguments as in backward-real.ts; `kept` holds pairs (re, im) instead of two states. */
@inline function span(
  variableB: bool, variableC: bool, count: i32, dState: i32,
  dt: usize, input: usize, y: usize, g: usize, sumB: usize, sumA: usize,
  decays: usize, start: usize, adjoint: usize, gradA: usize,
  B: usize, strideB: usize, gradB: usize, C: usize, strideC: usize, gradC: usize,
  sumsB: usize, sumsC: usize, kept: usize,
): void {
  const end = <usize>count << 4;
  const states = kept + <usize>(TILE * 32);
  for (let n = 0; n < dState; n++) {
    const panel = <usize>n << 5;
    const A0 = v128.load(decays + panel), A1 = v128.load(decays + panel, 16);
    let re = start != 0 ? v128.load(start + panel) : i32x4.splat(0);
    let im = start != 0 ? v128.load(start + panel, 16) : i32x4.splat(0);
    v128.store(states, re);
    v128.store(states, im, 16);
    let b = B + (<usize>n << (variableB ? 3 : 5)), c = C + (<usize>n << (variableC ? 3 : 5));
    let row = kept;
    for (let t: usize = 0; t < end; t += 16, row += 32) {
      const d = v128.load(dt + t), x = v128.load(input + t);
      const turns = quarterTurns(f32x4.mul(d, A1));
      const rest = quarterRest(f32x4.mul(d, A1), turns);
      const s = sineOfQuarter(rest), k = cosineOfQuarter(rest);
      const size = exp2(f32x4.mul(d, A0));
      const aRe = f32x4.mul(size, turnCosine(turns, s, k)), aIm = f32x4.mul(size, turnSine(turns, s, k));
      const nextRe = nmadd(aIm, im, madd(aRe, re, f32x4.mul(x, coefficient(variableB, b, 0))));
      im = madd(aIm, re, madd(aRe, im, f32x4.mul(x, coefficient(variableB, b, 1))));
      re = nextRe;
      v128.store(row, aRe);
      v128.store(row, aIm, 16);
      v128.store(row, re, TILE * 32 + 32);
      v128.store(row, im, TILE * 32 + 48);
      b += strideB;
    }
    c += strideC * <usize>count;
    // A1 is Im A in quarter turns; sumA is in units of log2(e), so bring Im A to those.
    const imaginary = f32x4.mul(A1, f32x4.splat(HALF_PI / LN_2));
    let sRe = v128.load(adjoint + panel), sIm = v128.load(adjoint + panel, 16);
    let dARe = v128.load(gradA + panel), dAIm = v128.load(gradA + panel, 16);
    let dBRe = i32x4.splat(0), dBIm = i32x4.splat(0), dCRe = i32x4.splat(0), dCIm = i32x4.splat(0);
    let sumRowB = columnSum(sumsB, n << 1) + (end << 2), sumRowC = columnSum(sumsC, n << 1) + (end << 2);
    for (let t: usize = end; t > 0;) {
      t -= 16;
      row -= 32;
      b -= strideB;
      c -= strideC;
      sumRowB -= 64;
      sumRowC -= 64;
      const x = v128.load(input + t), gt = v128.load(g + t);
      const cRe = coefficient(variableC, c, 0), cIm = coefficient(variableC, c, 1);
      v128.store(y + t, nmadd(cIm, im, madd(cRe, re, v128.load(y + t))));
      if (variableC) {
        accumulate(sumRowC, gt, re);
        subtract(sumRowC + 16, gt, im);
      } else {
        dCRe = madd(gt, re, dCRe);
        dCIm = nmadd(gt, im, dCIm);
      }
      sRe = madd(cRe, gt, sRe);
      sIm = nmadd(cIm, gt, sIm);
      const sums = madd(sRe, coefficient(variableB, b, 0), v128.load(sumB + t));
      v128.store(sumB + t, madd(sIm, coefficient(variableB, b, 1), sums));
      if (variableB) {
        accumulate(sumRowB, sRe, x);
        accumulate(sumRowB + 16, sIm, x);
      } else {
        dBRe = madd(sRe, x, dBRe);
        dBIm = madd(sIm, x, dBIm);
      }
      const aRe = v128.load(row), aIm = v128.load(row, 16);
      const carried = madd(aIm, sIm, f32x4.mul(aRe, sRe));
      sIm = nmadd(aIm, sRe, f32x4.mul(aRe, sIm));
      sRe = carried;
      re = v128.load(row, TILE * 32);
      im = v128.load(row, TILE * 32 + 16);
      const qRe = madd(im, sIm, f32x4.mul(re, sRe)), qIm = nmadd(im, sRe, f32x4.mul(re, sIm));
      v128.store(sumA + t, madd(imaginary, qIm, madd(A0, qRe, v128.load(sumA + t))));
      const d = v128.load(dt + t);
      dARe = madd(d, qRe, dARe);
      dAIm = madd(d, qIm, dAIm);
    }
    v128.store(adjoint + panel, sRe);
    v128.store(adjoint + panel, sIm, 16);
    v128.store(gradA + panel, dARe);
    v128.store(gradA + panel, dAIm, 16);
    if (!variableB) {
      v128.store(gradB + panel, f32x4.add(v128.load(gradB + panel), dBRe));
      v128.store(gradB + panel, f32x4.add(v128.load(gradB + panel, 16), dBIm), 16);
    }
    if (!variableC) {
      v128.store(gradC + panel, f32x4.add(v128.load(gradC + panel), dCRe));
      v128.store(gradC + panel, f32x4.add(v128.load(gradC + panel, 16), dCIm), 16);
    }
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
export function backwardSpanComplex(
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
