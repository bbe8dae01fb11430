import { arange, Complex, full, type Tensor } from '@mamba-ts/tensor';

/**
 * Powers Ā^l = exp(l log Ā), l = 0 … length − 1, of the poles of diagonal SSMs, and what a convolution needs of them:
 * the kernel, the response to an initial state, the state after an input (S4D, §3.1 and eq. 7: products with a
 * Vandermonde matrix).
 *
 * The matrix is never formed. With l = pQ + q, Ā^l = high[p] low[q], so that each product is a matrix product over the
 * states with about √length powers on either side: as many multiply-adds as the direct sum, but √length instead of
 * length exponentials, sines and cosines.
 */
export class Vandermonde {
  /** Ā^q: (channels, states, Q) */
  private readonly low: Complex;
  /** Ā^{pQ}: (channels, P, states) */
  private readonly high: Complex;
  private readonly blocks: number;
  private readonly blockLength: number;

  /** @param logA log Ā: (channels, states); its imaginary part is defined up to multiples of 2π */
  constructor(
    private readonly logA: Complex,
    private readonly length: number,
  ) {
    this.blockLength = length <= 32 ? length : 2 ** Math.ceil(Math.log2(length) / 2);
    this.blocks = Math.ceil(length / this.blockLength);
    const { device } = logA.re;
    const inside = arange(this.blockLength, { device, dtype: 'float32' });
    const starts = arange(this.blocks, { device, dtype: 'float32' }).mul(this.blockLength).reshape(this.blocks, 1);
    this.low = powers(logA.unsqueeze(2), inside, this.blockLength);
    this.high = powers(logA.unsqueeze(1), starts, length);
  }

  /** Re Σ_n coefficient_n Ā_n^l: (channels, states) → (length, channels), a kernel for `longConv`. */
  kernel(coefficient: Complex): Tensor {
    return this.combine(coefficient.unsqueeze(1).mul(this.high)).transpose(0, 1);
  }

  /**
   * Re Σ_n coefficient_n Ā_n^l for one set of coefficients a sequence: (batch, channels, states) → (batch, length,
   * channels).
   */
  response(coefficient: Complex): Tensor {
    const [batch, channels, states] = coefficient.re.shape;
    const scaled = permute(coefficient, 1, 0, 2)
      .unsqueeze(2)
      .mul(this.high.unsqueeze(1))
      .reshape(channels, batch * this.blocks, states);
    const y = this.combine(scaled).reshape(channels, batch, this.length);
    return y.permute(1, 2, 0);
  }

  /** Σ_l Ā_n^{length−1−l} u_l: (batch, length, channels) → (batch, channels, states). */
  correlate(u: Tensor): Complex {
    const [batch, , channels] = u.shape;
    const { blocks, blockLength, low, high } = this;
    const reversed = u.flip(1).pad(1, 0, blocks * blockLength - this.length);
    const rows = reversed
      .reshape(batch, blocks, blockLength, channels)
      .permute(3, 0, 1, 2)
      .reshape(channels, batch * blocks, blockLength);
    const shape = [channels, batch, blocks, this.logA.re.shape[1]];
    const inBlocks = new Complex(
      rows.matmul(low.re, { transposeB: true }),
      rows.matmul(low.im, { transposeB: true }),
    ).reshape(...shape);
    return permute(inBlocks.mul(high.unsqueeze(1)).sum(2), 1, 0, 2);
  }

  /** Ā^length x: what is left of a state after `length` samples. (batch, channels, states) */
  decay(state: Complex): Complex {
    const { device } = this.logA.re;
    const whole = powers(this.logA, full([1], this.length, { device }), this.length + 1);
    return state.mul(whole.unsqueeze(0));
  }

  /**
   * Real part of (channels, rows, states) times `low`, rows of blocks joined and cut: (channels, rows / P · length).
   */
  private combine(scaled: Complex): Tensor {
    const y = scaled.re.matmul(this.low.re).sub(scaled.im.matmul(this.low.im));
    const [channels, rows] = y.shape;
    const sets = rows / this.blocks;
    const joined = y.reshape(channels, sets, this.blocks * this.blockLength).slice(2, 0, this.length);
    return joined.reshape(channels, sets * this.length);
  }
}

function permute(x: Complex, ...axes: readonly number[]): Complex {
  return new Complex(x.re.permute(...axes), x.im.permute(...axes));
}

/**
 * exp(l logA) for integers 0 ≤ l < limit held as floats; shapes broadcast.
 *
 * In float32, l · Im logA is wrong by about 6e-8 of itself: thousands of radians late in a long kernel. So the phase is
 * counted in turns, a few leading bits at a time, whose products with l are exact, and whole turns are dropped.
 */
function powers(logA: Complex, l: Tensor, limit: number): Complex {
  const turns = withinOneTurn(logA.im).mul(1 / (2 * Math.PI));
  // Bits of the phase whose product with l < limit fits the 24 of a float.
  const bits = Math.max(1, 23 - Math.ceil(Math.log2(Math.max(limit, 2))));
  const all = fraction(turns.stopGradient());
  const first = roundTo(all, 2 ** bits);
  const second = roundTo(all.sub(first), 4 ** bits);
  const rest = all.sub(first).sub(second);
  const phase = fraction(first.mul(l))
    .add(fraction(second.mul(l)))
    .add(rest.mul(l));
  // The value is complete; its derivative, l d(turns), comes with a term that is zero.
  const withGradient = phase.add(turns.sub(turns.stopGradient()).mul(l));
  return Complex.polar(logA.re.mul(l).exp(), withGradient.mul(2 * Math.PI));
}

/**
 * Radians modulo 2π, in [−π, π], to one rounding: 2π is subtracted in two parts, the first of 8 bits, whose multiples
 * are exact.
 */
function withinOneTurn(x: Tensor): Tensor {
  const turns = x
    .stopGradient()
    .mul(1 / (2 * Math.PI))
    .add(0.5)
    .floor();
  return x.sub(turns.mul(6.28125)).sub(turns.mul(2 * Math.PI - 6.28125));
}

/** The nearest multiple of 1 / scale. */
function roundTo(x: Tensor, scale: number): Tensor {
  return x
    .mul(scale)
    .add(0.5)
    .floor()
    .mul(1 / scale);
}

/** x minus the nearest integer, in [−½, ½). */
function fraction(x: Tensor): Tensor {
  return x.sub(x.add(0.5).floor());
}
