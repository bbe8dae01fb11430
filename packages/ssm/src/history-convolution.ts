import { concat, longConv, type Tensor } from '@mamba-ts/tensor';
import { ofLastSequence, packedConv } from './packed-convolution';

/* Long convolutions that go on from what they have seen. Without a recurrence behind them, their state is their history. */

/**
 * @param x (batch, length, channels)
 * @param taps makes the first samples of the kernel, (count, channels)
 * @param history (batch, seen, channels), the samples before
 * @param resets int32 (batch, length)
 * @returns the convolution at the samples of x, and the history after them: samples of sequences that a reset ended are zeros
 */
export function convolveOn(
  x: Tensor,
  taps: (count: number) => Tensor,
  history: Tensor | undefined,
  resets: Tensor | undefined,
): [Tensor, Tensor] {
  const all = history ? concat([history, x], 1) : x;
  const seen = all.shape[1] - x.shape[1];
  const kernel = taps(all.shape[1]);
  if (!resets) return [longConv(all, kernel).slice(1, seen), all];
  const marks = resets.pad(1, seen, 0);
  return [packedConv(all, kernel, marks).slice(1, seen), all.mul(ofLastSequence(marks).unsqueeze(2))];
}

/**
 * One sample, at the cost of its history.
 *
 * @param x (batch, channels)
 * @param history (batch, seen, channels)
 * @param taps makes the first samples of the kernel, (count, channels)
 */
export function convolveNext(x: Tensor, taps: (count: number) => Tensor, history: Tensor): [Tensor, Tensor] {
  const all = concat([history, x.unsqueeze(1)], 1);
  return [all.mul(taps(all.shape[1]).flip(0)).sum(1), all];
}
