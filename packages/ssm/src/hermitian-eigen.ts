/** A complex square matrix, row-major. */
export interface ComplexMatrix {
  readonly size: number;
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** A = V diag(values) V*, V unitary with eigenvectors as columns, values ascending. */
export interface HermitianEigen {
  readonly values: Float64Array;
  readonly vectors: ComplexMatrix;
}

/**
 * Eigenvalues and eigenvectors of a Hermitian matrix in float64, by cyclic Jacobi rotations: slow for thousands of
 * rows, but accurate to a few units in the last place of the largest eigenvalue, which is what the small frequencies of
 * HiPPO need. Only the upper triangle is read.
 *
 * Each eigenvector is defined up to a phase: compare magnitudes, or products in which it cancels.
 */
export function hermitianEigen(matrix: ComplexMatrix): HermitianEigen {
  const n = matrix.size;
  const re = Float64Array.from(matrix.re);
  const im = Float64Array.from(matrix.im);
  const vRe = new Float64Array(n * n);
  const vIm = new Float64Array(n * n);
  let norm = 0;
  for (let i = 0; i < n; i++) {
    vRe[i * n + i] = 1;
    im[i * n + i] = 0;
    for (let j = i; j < n; j++) {
      // Complete the lower triangle.
      re[j * n + i] = re[i * n + j];
      im[j * n + i] = -im[i * n + j];
      norm = Math.max(norm, Math.abs(re[i * n + j]), Math.abs(im[i * n + j]));
    }
  }
  for (let sweep = 0; sweep < 60; sweep++) {
    let rotated = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const size = Math.hypot(re[p * n + q], im[p * n + q]);
        if (size <= 1e-17 * norm) continue;
        rotated = true;
        // The phase makes a_pq real; then the classical rotation: tan 2θ = 2 |a_pq| / (a_qq − a_pp), the smaller root.
        const phaseRe = re[p * n + q] / size;
        const phaseIm = im[p * n + q] / size;
        const tau = (re[q * n + q] - re[p * n + p]) / (2 * size);
        const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.hypot(1, tau));
        const c = 1 / Math.hypot(1, t);
        const s = t * c;
        rotateColumns(re, im, n, p, q, c, s * phaseRe, s * phaseIm);
        rotateColumns(vRe, vIm, n, p, q, c, s * phaseRe, s * phaseIm);
        rotateRows(re, im, n, p, q, c, s * phaseRe, s * phaseIm);
        re[p * n + q] = im[p * n + q] = re[q * n + p] = im[q * n + p] = 0;
        im[p * n + p] = im[q * n + q] = 0;
      }
    }
    if (!rotated) break;
  }
  return ascending(n, re, vRe, vIm);
}

/** Columns p and q of M times [[c, w], [−w̄, c]], w = s e^{i phase}: M J. */
function rotateColumns(
  re: Float64Array,
  im: Float64Array,
  n: number,
  p: number,
  q: number,
  c: number,
  wRe: number,
  wIm: number,
): void {
  for (let i = 0; i < n; i++) {
    const a = i * n + p;
    const b = i * n + q;
    const pRe = re[a];
    const pIm = im[a];
    const qRe = re[b];
    const qIm = im[b];
    re[a] = c * pRe - (wRe * qRe + wIm * qIm);
    im[a] = c * pIm - (wRe * qIm - wIm * qRe);
    re[b] = c * qRe + (wRe * pRe - wIm * pIm);
    im[b] = c * qIm + (wRe * pIm + wIm * pRe);
  }
}

/** Rows p and q: J* M. */
function rotateRows(
  re: Float64Array,
  im: Float64Array,
  n: number,
  p: number,
  q: number,
  c: number,
  wRe: number,
  wIm: number,
): void {
  for (let j = 0; j < n; j++) {
    const a = p * n + j;
    const b = q * n + j;
    const pRe = re[a];
    const pIm = im[a];
    const qRe = re[b];
    const qIm = im[b];
    re[a] = c * pRe - (wRe * qRe - wIm * qIm);
    im[a] = c * pIm - (wRe * qIm + wIm * qRe);
    re[b] = c * qRe + (wRe * pRe + wIm * pIm);
    im[b] = c * qIm + (wRe * pIm - wIm * pRe);
  }
}

function ascending(n: number, diagonal: Float64Array, vRe: Float64Array, vIm: Float64Array): HermitianEigen {
  const order = Array.from({ length: n }, (_, i) => i).sort((a, b) => diagonal[a * n + a] - diagonal[b * n + b]);
  const values = Float64Array.from(order, (i) => diagonal[i * n + i]);
  const re = new Float64Array(n * n);
  const im = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      re[i * n + j] = vRe[i * n + order[j]];
      im[i * n + j] = vIm[i * n + order[j]];
    }
  }
  return { values, vectors: { size: n, re, im } };
}
