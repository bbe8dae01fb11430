import { Complex, type Tensor } from '@mamba-ts/tensor';
import { angle } from './complex-angle';

/** How x' = λx + Bu becomes x_t = Ā x_{t−1} + B̄ u_t: zero-order hold, or the bilinear (Tustin) rule. */
export type Discretization = 'zoh' | 'bilinear';
export const discretizations: readonly Discretization[] = ['zoh', 'bilinear'];

/** log Ā (its imaginary part modulo 2π) and B̄ / B. */
export interface DiscretePoles {
  readonly logA: Complex;
  readonly inputScale: Complex;
}

/**
 * S4, eq. 3 and S4D, §3.1, for poles λ with negative real part and steps Δ, with z = Δλ:
 * zoh Ā = e^z, B̄ = (e^z − 1)/λ B; bilinear Ā = (1 + z/2)/(1 − z/2), B̄ = Δ/(1 − z/2) B.
 */
export function discretize(lambda: Complex, dt: Tensor, kind: Discretization): DiscretePoles {
  const z = lambda.scale(dt);
  if (kind === 'zoh') return { logA: z, inputScale: z.expm1().div(lambda) };
  const denominator = z.scale(-0.5).addReal(1);
  // |1 + z/2|² = |1 − z/2|² + 2 Re z, and (1 + z/2) · conj(1 − z/2) = 1 − |z|²/4 + i Im z: no cancellation for small z.
  const logRadius = z.re.mul(2).div(denominator.abs2()).log1p().mul(0.5);
  const direction = new Complex(z.abs2().mul(-0.25).add(1), z.im);
  return { logA: new Complex(logRadius, angle(direction)), inputScale: denominator.reciprocal().scale(dt) };
}
