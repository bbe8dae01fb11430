import { cumsum, longConv, type Tensor } from '@mamba-ts/tensor';

/**
 * `longConv` within packed sequences: y_t = Σ_j kernel_j u_{t−j} over the samples of t's own sequence.
 *
 * A convolution cannot forget, but between two halves of a block everything that is kept crosses the middle: samples of
 * the left half after its last boundary reach those of the right half before its first one. So each scale of blocks is
 * one convolution of masked left halves: log₂ length convolutions in all.
 *
 * @param u (batch, length, channels)
 * @param kernel (taps, channels)
 * @param resets int32 (batch, length): non-zero where a sequence starts
 */
export function packedConv(u: Tensor, kernel: Tensor, resets: Tensor): Tensor {
  const [batch, length, channels] = u.shape;
  const padded = 2 ** Math.ceil(Math.log2(length));
  const samples = u.pad(1, 0, padded - length);
  const sequence = sequenceNumbers(resets).pad(1, 0, padded - length);
  let y = samples.mul(kernel.slice(0, 0, 1));
  for (let half = 1; half < padded; half *= 2) {
    const blocks = batch * (padded / (2 * half));
    const numbers = sequence.reshape(blocks, 2 * half);
    const middle = numbers.slice(1, half - 1, half);
    const crosses = numbers.equal(middle).cast('float32').unsqueeze(2);
    const left = samples
      .reshape(blocks, 2 * half, channels)
      .mul(crosses)
      .slice(1, 0, half)
      .pad(1, 0, half);
    const right = longConv(left, kernel.slice(0, 0, 2 * half))
      .mul(crosses)
      .slice(1, half)
      .pad(1, half, 0);
    y = y.add(right.reshape(batch, padded, channels));
  }
  return y.slice(1, 0, length);
}

/** 1 for the samples of the last sequence of each row, else 0: float32 (batch, length). What came before ends at any reset. */
export function ofLastSequence(resets: Tensor): Tensor {
  const numbers = sequenceNumbers(resets);
  return numbers.equal(numbers.slice(1, -1)).cast('float32');
}

/** 1 for the samples that what came before `resets` still reaches, else 0: float32 (batch, length). */
export function ofFirstSequence(resets: Tensor): Tensor {
  return sequenceNumbers(resets).equal(0).cast('float32');
}

/** How many sequences have started up to each sample: float32 (batch, length). */
function sequenceNumbers(resets: Tensor): Tensor {
  return cumsum(resets.notEqual(0).cast('float32'), 1);
}
