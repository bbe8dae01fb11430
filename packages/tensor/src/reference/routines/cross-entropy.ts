import { faultError } from '../../cpu/fault';
import type { RefArray, ReferenceRoutine } from '../array';

/** loss = log Σ e^logit - logit[target] */
export const crossEntropy: ReferenceRoutine = (inputs, [losses, logSumExp], { ignoreIndex }) => {
  const [logits, targets] = inputs as readonly RefArray[];
  const [rows, classes] = logits.shape;
  for (let r = 0; r < rows; r++) {
    const x = logits.data.subarray(r * classes, (r + 1) * classes);
    const target = targets.data[r];
    if (target !== ignoreIndex && (target < 0 || target >= classes)) throw faultError(3, target, r, classes);
    logSumExp.data[r] = logSumExpOf(x);
    losses.data[r] = target === ignoreIndex ? 0 : logSumExp.data[r] - x[target];
  }
};

function logSumExpOf(x: ArrayLike<number>): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, x[i]);
  // NaN, or an infinity that outweighs everything (or is everything there is).
  if (!Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - largest);
  return largest + Math.log(sum);
}
