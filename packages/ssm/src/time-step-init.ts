import { type RandomGenerator, type Shape, type Tensor } from '@mamba-ts/tensor';

/** Range of the initial time steps Δ. */
export interface TimeStepRange {
  /** Default 0.001. */
  readonly dtMin?: number;
  /** Default 0.1. */
  readonly dtMax?: number;
}

/**
 * ln Δ with Δ log-uniform in [dtMin, dtMax]. (The Mamba paper's text says uniform; every released code draws it
 * log-uniform.)
 */
export function logTimeSteps(shape: Shape, random: RandomGenerator, range: TimeStepRange): Tensor {
  const { dtMin = 0.001, dtMax = 0.1 } = range;
  return random.uniform(shape, Math.log(dtMin), Math.log(dtMax));
}

/** softplus⁻¹(Δ) = Δ + ln(1 − e^{−Δ}), for Δ > 0. */
export function inverseSoftplus(dt: Tensor): Tensor {
  return dt.add(dt.neg().expm1().neg().log());
}
