import { OutOfRangeError, scope, type Tensor } from '@mamba-ts/tensor';
import { checkPositive } from '../argument';

/**
 * Euclidean norm of all gradients together, a scalar in float32.
 *
 * @throws OutOfRangeError without gradients
 */
export function gradientNorm(gradients: readonly Tensor[]): Tensor {
  if (gradients.length === 0) throw new OutOfRangeError('gradientNorm: gradients is empty, expected at least one');
  return scope(() => {
    // From the last to the first: the order in which the backward pass makes them.
    const squares = gradients.map((g) => g.cast('float32').square().sum());
    return squares.reduceRight((total, square) => total.add(square)).sqrt();
  });
}

/**
 * Scales all gradients by min(1, maxNorm / (norm + 1e-6)), as PyTorch's `clip_grad_norm_` does, so that their norm is
 * at most `maxNorm`.
 *
 * @returns the scaled gradients, and the norm before scaling
 * @throws OutOfRangeError if `maxNorm` is no positive number or there is no gradient
 */
export function clipGradientNorm(gradients: readonly Tensor[], maxNorm: number): { gradients: Tensor[]; norm: Tensor } {
  checkPositive('clipGradientNorm', 'maxNorm', maxNorm);
  return scope(() => {
    const norm = gradientNorm(gradients);
    const factor = norm.add(1e-6).reciprocal().mul(maxNorm).minimum(1);
    return { gradients: gradients.map((g) => g.mul(factor)), norm };
  });
}
