import { concat, type Tensor } from '@mamba-ts/tensor';

/**
 * Linear recurrences x ← M x + b u, y = c x with dense real matrices, one a channel, over whole sequences: in blocks of
 * about √length samples, by matrix products with powers M^(2^k), which are computed once.
 *
 * For matrices that contract (every stable SSM in the basis of its normal part), powers stay bounded and rounding
 * errors do not grow with the length. Powers are kept as what they differ from the identity, M^(2^k) − I: for small Δ
 * that is little, and C (I − M^n) would lose it.
 */
export class DenseRecurrence {
  /** M^(2^k) − I, as far as something has asked for them. */
  private readonly changes: Tensor[];

  /** @param change M − I: (channels, states, states) */
  constructor(change: Tensor) {
    this.changes = [change];
  }

  /** r (I − M^exponent): (channels, rows, states) */
  rowsTimesComplement(rows: Tensor, exponent: number): Tensor {
    let lost: Tensor | null = null;
    for (const k of bitsOf(exponent)) {
      const step: Tensor = this.rowsTimes(lost ? lost.sub(rows) : rows.neg(), k);
      lost = lost ? lost.add(step) : step;
    }
    return lost as Tensor;
  }

  /**
   * r (I − M^period)^{−1} = r (I + M^period)(I + M^(2 period)) …: each factor doubles how many terms of the geometric
   * series are there, and stops mattering once the powers have died out. 2^40 samples are more than any Δ in use needs.
   */
  rowsOverComplement(rows: Tensor, period: number): Tensor {
    let [sum, change] = [rows, this.change(period)];
    for (let reached = period; reached < 2 ** 40; reached *= 2) {
      sum = sum.mul(2).add(sum.matmul(change));
      change = twice(change);
    }
    return sum;
  }

  /** r (I + M^exponent): (channels, rows, states) */
  rowsTimesSum(rows: Tensor, exponent: number): Tensor {
    return rows.mul(2).sub(this.rowsTimesComplement(rows, exponent));
  }

  /**
   * The state after an input: M^length x₀ + Σ_l M^{length−1−l} b u_l.
   *
   * @param b (channels, states)
   * @param u (batch, length, channels)
   * @param initial x₀, (batch, channels, states)
   * @returns (batch, channels, states)
   */
  stateAfter(b: Tensor, u: Tensor, initial?: Tensor): Tensor {
    const [batch, length, channels] = u.shape;
    const [block, levels] = blocksOf(length);
    const blocks = 2 ** levels;
    // Silence in front fills the first block; columns are M^l b, so that samples go in from the last to the first.
    const samples = u
      .pad(1, blocks * block - length, 0)
      .reshape(batch, blocks, block, channels)
      .flip(2)
      .permute(3, 2, 0, 1)
      .reshape(channels, block, batch * blocks);
    let states = this.columns(b.unsqueeze(2), 0, Math.log2(block)).matmul(samples);
    for (let level = 0, count = blocks; count > 1; level++, count /= 2) {
      const pairs = states.reshape(channels, -1, (batch * count) / 2, 2);
      const [earlier, later] = [pairs.slice(3, 0, 1).squeeze(3), pairs.slice(3, 1, 2).squeeze(3)];
      states = earlier.add(this.timesColumns(Math.log2(block) + level, earlier)).add(later);
    }
    if (initial) {
      let left = initial.permute(1, 2, 0);
      for (const k of bitsOf(length)) left = left.add(this.timesColumns(k, left));
      states = states.add(left);
    }
    return states.permute(2, 0, 1);
  }

  /**
   * What is left of a state in the outputs: c M^{l+1} x₀, l = 0 … length − 1.
   *
   * @param c (channels, states)
   * @param initial x₀, (batch, channels, states)
   * @returns (batch, length, channels)
   */
  response(c: Tensor, initial: Tensor, length: number): Tensor {
    const [batch, channels, states] = initial.shape;
    const [block, levels] = blocksOf(length);
    const low = Math.log2(block);
    let rows = c.unsqueeze(1);
    rows = rows.add(this.rowsTimes(rows, 0));
    for (let k = 0; k < low; k++) rows = concat([rows, rows.add(this.rowsTimes(rows, k))], 1);
    const starts = this.columns(initial.permute(1, 2, 0).reshape(channels, states, batch), low, levels);
    return rows
      .matmul(starts)
      .reshape(channels, block, 2 ** levels, batch)
      .permute(3, 2, 1, 0)
      .reshape(batch, block * 2 ** levels, channels)
      .slice(1, 0, length);
  }

  /** M^(l 2^first) x for l = 0 … 2^doublings − 1, side by side: (channels, states, 2^doublings · columns). */
  private columns(x: Tensor, first: number, doublings: number): Tensor {
    let all = x;
    for (let k = first; k < first + doublings; k++) all = concat([all, all.add(this.timesColumns(k, all))], 2);
    return all;
  }

  /** r (M^(2^k) − I) */
  private rowsTimes(rows: Tensor, k: number): Tensor {
    return rows.matmul(this.square(k));
  }

  /** (M^(2^k) − I) x */
  private timesColumns(k: number, x: Tensor): Tensor {
    return this.square(k).matmul(x);
  }

  private square(k: number): Tensor {
    while (this.changes.length <= k) this.changes.push(twice(this.changes[this.changes.length - 1]));
    return this.changes[k];
  }

  /** M^exponent − I */
  private change(exponent: number): Tensor {
    const [first, ...others] = bitsOf(exponent).map((k) => this.square(k));
    return others.reduce((sum, next) => sum.add(next).add(sum.matmul(next)), first);
  }
}

/** M² − I of M − I. */
function twice(change: Tensor): Tensor {
  return change.mul(2).add(change.matmul(change));
}

/** Exponents of two that add up to `n`. */
function bitsOf(n: number): number[] {
  const found: number[] = [];
  for (let k = 0, rest = n; rest > 0; k++, rest = Math.floor(rest / 2)) if (rest % 2 === 1) found.push(k);
  return found;
}

/** Length of a block, about √length, and log₂ of how many cover the length; both are powers of two. */
function blocksOf(length: number): [block: number, levels: number] {
  const bits = Math.ceil(Math.log2(length));
  const low = length <= 16 ? bits : Math.ceil(bits / 2);
  return [2 ** low, bits - low];
}
