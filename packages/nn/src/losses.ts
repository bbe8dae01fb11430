import { crossEntropy, type Tensor } from '@mamba-ts/tensor';
import { checkPositive } from './argument';

/**
 * Mean of −log softmax(logits)[target], in nats, over the rows whose target is not `ignoreIndex`; 0 if there is none
 * (PyTorch gives NaN).
 *
 * @param logits (…, classes)
 * @param targets int32 (…)
 * @param options.ignoreIndex default −100, as in PyTorch
 * @returns a scalar
 * @throws OutOfRangeError, when computed, for a target outside [0, classes)
 */
export function crossEntropyLoss(logits: Tensor, targets: Tensor, options: { ignoreIndex?: number } = {}): Tensor {
  const ignoreIndex = options.ignoreIndex ?? -100;
  const nats = crossEntropy(logits, targets, { ignoreIndex });
  const counted = targets.notEqual(ignoreIndex).cast('float32').sum();
  return nats.sum().div(counted.maximum(1));
}

/**
 * Mean loss in nats per token as bits per byte, which does not depend on the tokenizer.
 *
 * @param bytesPerToken bytes of the text over its tokens; 1 for byte-level models
 */
export function bitsPerByte(loss: number, bytesPerToken?: number): number;
export function bitsPerByte(loss: Tensor, bytesPerToken?: number): Tensor;
export function bitsPerByte(loss: number | Tensor, bytesPerToken = 1): number | Tensor {
  checkPositive('bitsPerByte', 'bytesPerToken', bytesPerToken);
  const factor = 1 / (Math.LN2 * bytesPerToken);
  return typeof loss === 'number' ? loss * factor : loss.mul(factor);
}

/** e^loss of a mean loss in nats per token. */
export function perplexity(loss: number): number {
  return Math.exp(loss);
}
