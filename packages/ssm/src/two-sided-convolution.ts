import { longConv, type Tensor } from '@mamba-ts/tensor';

/**
 * A convolution that looks both ways: y_t = Σ_j past_j u_{t−j} + Σ_j future_j u_{t+1+j}. The kernel of the future starts
 * with the next sample, as in the s4 repository (bidirectional S4, arXiv 2202.09729, §4.2).
 *
 * @param u (batch, length, channels)
 * @param past (taps, channels)
 * @param future (taps, channels)
 */
export function twoSidedConv(u: Tensor, past: Tensor, future: Tensor): Tensor {
  const length = u.shape[1];
  const reversed = longConv(u.flip(1), future).flip(1);
  return longConv(u, past).add(reversed.slice(1, 1, length).pad(1, 0, 1));
}
