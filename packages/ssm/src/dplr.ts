import { arange, Complex, concat, type Tensor } from '@mamba-ts/tensor';

/**
 * x' = A x + B u, y = 2 Re C x with A diagonal plus low rank in conjugate pairs (S4, §3): of A = Λ − P P* on pairs, one
 * of each is kept. All (channels, modes), one SSM a channel; Δ is (channels, 1).
 */
export interface DplrSystem {
  readonly lambda: Complex;
  readonly P: Complex;
  readonly B: Complex;
  readonly dt: Tensor;
}

/**
 * The bilinear discretisation of such a system, which is of the same form: with s = 2 Re Σ inner x, a real number,
 * x ← x + change x − outer s + input u. So a step costs O(modes).
 */
export interface DiscreteDplr {
  readonly change: Complex;
  readonly outer: Complex;
  readonly inner: Complex;
  readonly input: Complex;
}

/**
 * S4, eq. 3 and appendix C.2: Ā = (I − Δ/2 A)^{−1}(I + Δ/2 A), B̄ = (I − Δ/2 A)^{−1} Δ B. With D = (2/Δ − Λ)^{−1} and the
 * Woodbury identity for the pairs of P, whose products are real, Ā x = D (2/Δ + Λ) x − r D P · 2 Re Σ (4/Δ) P̄ D x, with
 * r = 1 / (1 + 2 Σ |P|² Re D).
 */
export function discretizeDplr({ lambda, P, B, dt }: DplrSystem): DiscreteDplr {
  // Everything times Δ/2, so that nothing grows as Δ goes to 0: D = Δ/2 · E, E = 1 / (1 − Δλ/2).
  const half = dt.mul(0.5);
  const z = lambda.scale(half);
  const E = z.neg().addReal(1).reciprocal();
  const r = half.mul(P.abs2().mul(E.re).sum(1, true)).mul(2).add(1).reciprocal();
  const DP = P.mul(E).scale(half);
  const outer = DP.scale(r);
  const inner = P.conj().mul(E).scale(2);
  const DB = B.mul(E).scale(dt);
  // B̄ = 2 D B − r D P · 2 Re Σ P̄ 2 D B.
  const s = P.conj().mul(DB).re.sum(1, true).mul(2);
  return { change: z.mul(E).scale(2), outer, inner, input: DB.sub(outer.scale(s)) };
}

/** Pairs (re, im) of complex numbers as one real vector: (…, modes) → (…, 2 modes). */
export function realVector(x: Complex): Tensor {
  const { shape } = x.re;
  return x.toPairs().reshape(...shape.slice(0, -1), 2 * shape[shape.length - 1]);
}

/** The real row whose product with `realVector(x)` is 2 Re Σ c x. */
export function realRow(c: Complex): Tensor {
  return realVector(c.conj().scale(2));
}

/** The reverse of `realRow`. */
export function complexOfRow(row: Tensor): Complex {
  const { shape } = row;
  return Complex.fromPairs(row.reshape(...shape.slice(0, -1), shape[shape.length - 1] / 2, 2))
    .conj()
    .scale(0.5);
}

/** Ā − I on real vectors: (channels, 2 modes, 2 modes). In this basis Ā contracts, whatever the parameters are. */
export function realChange({ change, outer, inner }: Omit<DiscreteDplr, 'input'>): Tensor {
  const [channels, modes] = change.re.shape;
  const { device } = change.re;
  // Multiplication by g is [[Re g, −Im g], [Im g, Re g]].
  const places = arange(modes, { device });
  const diagonal = places.unsqueeze(1).equal(places).cast('float32').reshape(modes, 1, modes, 1);
  const column = (re: Tensor, im: Tensor): Tensor => new Complex(re, im).toPairs().reshape(channels, modes, 2, 1, 1);
  const blocks = column(change.re, change.im)
    .pad(4, 0, 1)
    .add(column(change.im.neg(), change.re).pad(4, 1, 0))
    .mul(diagonal);
  const product = realVector(outer).unsqueeze(2).mul(realRow(inner).unsqueeze(1));
  return blocks.reshape(channels, 2 * modes, 2 * modes).sub(product);
}

/**
 * The truncated generating function Σ_{l<n} K_l ω^l of such a system at the roots of unity ω = e^{−2πik/n}, k = 0 …
 * ⌊n/2⌋, K_l = C Ā^l B̄ (S4, §3.2): (…channels, ⌊n/2⌋ + 1), whose inverse transform is K.
 *
 * In terms of φ = πk/n, with κ(v) = Σ Δ v / (2i sin φ − cos φ Δλ) over both of each pair, it is e^{iφ}[κ(C̃B) − cos φ κ(C̃P)
 * κ(P̄B) / (1 + cos φ κ(P̄P))]: the Cauchy sums of the paper's lemma C.3 times cos φ, so that nothing is infinite at ω = −1.
 *
 * @param truncated C̃ = C (I − Ā^n): (outputs, channels, modes)
 * @returns (outputs, channels, ⌊n/2⌋ + 1)
 */
export function generatingFunction({ lambda, P, B, dt }: DplrSystem, truncated: Complex, n: number): Complex {
  const { device } = dt;
  const [outputs, channels, modes] = truncated.re.shape;
  const bins = Math.floor(n / 2) + 1;
  const k = arange(bins, { device, dtype: 'float32' });
  const sine = k.mul(Math.PI / n).sin();
  // cos φ as a sine, for the precision of small ones.
  const cosine = k
    .mul(-2)
    .add(n)
    .mul(Math.PI / (2 * n))
    .sin();
  // Δ / (2i sin φ − cos φ Δλ) of each mode, and of its conjugate.
  const z = lambda.scale(dt);
  const damping = z.re.neg().unsqueeze(2).mul(cosine);
  const shift = z.im.unsqueeze(2).mul(cosine);
  const [mode, partner] = [shift.neg(), shift].map((offset) => {
    const detuning = offset.add(sine.mul(2));
    const scale = dt.unsqueeze(2).div(damping.square().add(detuning.square()));
    return new Complex(damping.mul(scale), detuning.neg().mul(scale));
  });
  // v R + v̄ R' of a pair: real and imaginary parts are real rows times these.
  const columns = (a: Tensor, b: Tensor): Tensor =>
    a
      .unsqueeze(2)
      .pad(2, 0, 1)
      .add(b.unsqueeze(2).pad(2, 1, 0))
      .reshape(channels, 2 * modes, bins);
  const forRe = columns(mode.re.add(partner.re), partner.im.sub(mode.im));
  const forIm = columns(mode.im.add(partner.im), mode.re.sub(partner.re));
  // The rows C̃B and C̃P of every output, P̄B and P̄P: (channels, 2 outputs + 2, bins).
  const row = (v: Complex): Tensor => realVector(v).unsqueeze(-2);
  const perOutput = (v: Complex): Tensor =>
    row(truncated.mul(v))
      .permute(1, 2, 0, 3)
      .reshape(channels, outputs, 2 * modes);
  const rows = concat([perOutput(B), perOutput(P), row(P.conj().mul(B)), row(P.conj().mul(P))], 1);
  const sums = new Complex(rows.matmul(forRe), rows.matmul(forIm));
  const part = (from: number, count: number): Complex =>
    new Complex(sums.re.slice(1, from, from + count), sums.im.slice(1, from, from + count));
  const [CB, CP] = [part(0, outputs), part(outputs, outputs)];
  const [PB, PP] = [part(2 * outputs, 1), part(2 * outputs + 1, 1)];
  const correction = CP.mul(PB).div(PP.scale(cosine).addReal(1)).scale(cosine);
  const K = CB.sub(correction).mul(new Complex(cosine, sine));
  return new Complex(K.re.transpose(0, 1), K.im.transpose(0, 1));
}
