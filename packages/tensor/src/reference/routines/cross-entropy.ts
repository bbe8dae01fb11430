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
    let largest = Number.NEGATIVE_INFINITY;
    for (const v of x) largest = Math.max(largest, v);
    let sum = 0;
    for (const v of x) sum += Math.exp(v - largest);
    logSumExp.data[r] = largest + Math.log(sum);
    losses.data[r] = target === ignoreIndex ? 0 : logSumExp.data[r] - x[target];
  }
};
