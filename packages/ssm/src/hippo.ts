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
 * The eigenvalues −½ + iω of A + P Pᵀ with ω > 0, ascending, and what B and P become in that basis (magnitudes: phases
 * are arbitrary).
 */
export interface HippoModes {
  readonly omega: Float64Array;
  readonly absB: Float64Array;
  readonly absP: Float64Array;
}

/**
 * S4, theorem 1 (NPLR): A + P Pᵀ = −½ I + K with K real and skew, so −iK is Hermitian and its eigenvalues are the
 * frequencies. They come in pairs ±ω; one of each pair is returned. In float64: float32 loses the small ones.
 */
export function hippoLegSModes(dState: number): HippoModes {
  const { A, B, P } = hippoLegS(dState);
  const im = new Float64Array(dState * dState);
  // K is the part of S = A + P Pᵀ beyond the diagonal, and (−iK)[n][k] = −i K[n][k].
  for (let n = 0; n < dState; n++) {
    for (let k = 0; k < dState; k++) if (k !== n) im[n * dState + k] = -(A[n * dState + k] + P[n] * P[k]);
  }
  const { values, vectors } = hermitianEigen({ size: dState, re: new Float64Array(dState * dState), im });
  const half = dState / 2;
  const magnitude = (v: Float64Array, column: number): number => {
    // (V* v)_column
    let re = 0;
    let imaginary = 0;
    for (let n = 0; n < dState; n++) {
      re += vectors.re[n * dState + column] * v[n];
      imaginary -= vectors.im[n * dState + column] * v[n];
    }
    return Math.hypot(re, imaginary);
  };
  const columns = Array.from({ length: half }, (_, i) => dState - half + i);
  return {
    omega: Float64Array.from(columns, (c) => values[c]),
    absB: Float64Array.from(columns, (c) => magnitude(B, c)),
    absP: Float64Array.from(columns, (c) => magnitude(P, c)),
  };
}
