import { hermitianEigen } from './hermitian-eigen';

/** x' = A x + B u of HiPPO-LegS, and the vector P that makes A + P Pᵀ normal. Row-major float64. */
export interface Hippo {
  readonly A: Float64Array;
  readonly B: Float64Array;
  readonly P: Float64Array;
}

/**
 * HiPPO-LegS (S4, eq. 2): A[n][k] = −√((2n+1)(2k+1)) below the diagonal, −(n+1) on it, 0 above; B[n] = √(2n+1); P[n] =
 * √(n+½).
 */
export function hippoLegS(dState: number): Hippo {
  const A = new Float64Array(dState * dState);
  const B = new Float64Array(dState);
  const P = new Float64Array(dState);
  for (let n = 0; n < dState; n++) {
    B[n] = Math.sqrt(2 * n + 1);
    P[n] = Math.sqrt(n + 0.5);
    for (let k = 0; k < n; k++) A[n * dState + k] = -Math.sqrt((2 * n + 1) * (2 * k + 1));
    A[n * dState + n] = -(n + 1);
  }
  return { A, B, P };
}

/**
 * The eigenvalues −½ + iω of A + P Pᵀ with ω > 0, ascending, and what B and P become in that basis, whose phases are
 * chosen so that both are real and positive.
 */
export interface HippoModes {
  readonly omega: Float64Array;
  readonly absB: Float64Array;
  readonly absP: Float64Array;
  /** The eigenvectors V as columns, (dState, dState / 2) row-major: a real state is x = 2 Re V y of its modes y = V* x. */
  readonly vectors: { readonly re: Float64Array; readonly im: Float64Array };
}

/**
 * S4, theorem 1 (NPLR): A + P Pᵀ = −½ I + K with K real and skew, so −iK is Hermitian and its eigenvalues are the
 * frequencies. They come in pairs ±ω; one of each pair is returned. In float64: float32 loses the small ones.
 */
export function hippoLegSModes(dState: number): HippoModes {
  const { A, B, P } = hippoLegS(dState);
  const skew = new Float64Array(dState * dState);
  // K is the part of S = A + P Pᵀ beyond the diagonal, and (−iK)[n][k] = −i K[n][k].
  for (let n = 0; n < dState; n++) {
    for (let k = 0; k < dState; k++) if (k !== n) skew[n * dState + k] = -(A[n * dState + k] + P[n] * P[k]);
  }
  const eigen = hermitianEigen({ size: dState, re: new Float64Array(dState * dState), im: skew });
  const half = dState / 2;
  const re = new Float64Array(dState * half);
  const im = new Float64Array(dState * half);
  const absB = new Float64Array(half);
  for (let column = 0; column < half; column++) {
    const from = dState - half + column;
    // (V* B)_column
    let [bRe, bIm] = [0, 0];
    for (let n = 0; n < dState; n++) {
      bRe += eigen.vectors.re[n * dState + from] * B[n];
      bIm -= eigen.vectors.im[n * dState + from] * B[n];
    }
    absB[column] = Math.hypot(bRe, bIm);
    const [phaseRe, phaseIm] = [bRe / absB[column], bIm / absB[column]];
    for (let n = 0; n < dState; n++) {
      const [vRe, vIm] = [eigen.vectors.re[n * dState + from], eigen.vectors.im[n * dState + from]];
      re[n * half + column] = vRe * phaseRe - vIm * phaseIm;
      im[n * half + column] = vRe * phaseIm + vIm * phaseRe;
    }
  }
  // P is B / √2, in every basis.
  return {
    omega: eigen.values.slice(dState - half),
    absB,
    absP: absB.map((b) => b * Math.SQRT1_2),
    vectors: { re, im },
  };
}
