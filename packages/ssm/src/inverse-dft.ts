import { arange, Complex, type Device, type Tensor } from '@mamba-ts/tensor';

/**
 * Real sequences from the first half of their spectra, as `irfft`: x_l = (1/n) Σ_k X_k e^{2πikl/n}, where X_{n−k} is the
 * conjugate of X_k.
 *
 * In two steps of matrix products (Cooley and Tukey, n = PQ with the two factors as close as they come), so that every
 * device runs it with the routines that it has, backwards too. Cost per sequence n (P + Q); a prime n is one product of
 * cost n².
 *
 * @param spectrum X_0 … X_{⌊n/2⌋}: (rows, ⌊n/2⌋ + 1)
 * @returns (rows, n)
 */
export function inverseRealDft(spectrum: Complex, n: number): Tensor {
  const { device } = spectrum.re;
  const [rows, bins] = spectrum.re.shape;
  const P = nearSquareDivisor(n);
  const Q = n / P;
  // k = k2 P + k1 and l = p Q + q: e^{2πikl/n} = e^{2πi k2 q/Q} · e^{2πi k1 q/n} · e^{2πi k1 p/P}.
  const used = Math.ceil(bins / P);
  // The conjugate bins double the others, but for the first and, of an even n, the last.
  const single = arange(bins, { device }).equal(0).or(arange(bins, { device }).mul(2).equal(n));
  const weights = single
    .cast('float32')
    .mul(-1)
    .add(2)
    .mul(1 / n);
  const weighted = spectrum.scale(weights);
  const table = (x: Tensor): Tensor => x.pad(1, 0, used * P - bins).reshape(rows, used, P);
  const [re, im] = [table(weighted.re), table(weighted.im)];
  const inner = roots(Q, Q, used, device);
  // (rows, q, k1)
  const sums = new Complex(
    inner.re.matmul(re).sub(inner.im.matmul(im)),
    inner.re.matmul(im).add(inner.im.matmul(re)),
  ).mul(roots(n, Q, P, device));
  const outer = roots(P, P, P, device);
  return outer.re
    .matmul(sums.re, { transposeB: true })
    .sub(outer.im.matmul(sums.im, { transposeB: true }))
    .reshape(rows, n);
}

/** e^{2πijk/n}: (j < rows, k < columns) */
function roots(n: number, rows: number, columns: number, device: Device): Complex {
  const j = arange(rows, { device }).unsqueeze(1);
  const product = j.mul(arange(columns, { device }));
  // Whole turns are dropped in integers, and the angle kept within half a turn, so that it has all its bits.
  const turns = product.sub(product.div(n).mul(n));
  const signed = turns.sub(turns.mul(2).greater(n).cast('int32').mul(n));
  const angle = signed.cast('float32').mul((2 * Math.PI) / n);
  return new Complex(angle.cos(), angle.sin());
}

/** The largest divisor of n that is at most √n. */
function nearSquareDivisor(n: number): number {
  let divisor = Math.floor(Math.sqrt(n));
  while (n % divisor !== 0) divisor--;
  return divisor;
}
