import { type RandomGenerator, scope, type Shape, type Tensor, type Variable, variable } from '@mamba-ts/tensor';
import type { Initializer } from './initializers';

/** What an optimiser should know about one parameter. */
export interface ParameterMetadata {
  /** false: 0 for this parameter whatever the optimiser's weight decay is. */
  readonly weightDecay?: boolean;
  /** Own peak learning rate (the schedule still multiplies it) … */
  readonly learningRate?: number;
  /** … or a factor on the optimiser's. */
  readonly learningRateScale?: number;
  /** true: only ever a factor of matrix products or a table of rows, so that half-precision storage is good enough (`convertWeights`). */
  readonly halfPrecision?: boolean;
  /** false: part of the state dict, but not trained. */
  readonly trainable?: boolean;
}

/** A trainable variable that starts at `initial` (which is disposed). */
export function parameter(initial: Tensor, metadata: ParameterMetadata = {}): Variable {
  const v = variable(initial);
  initial.dispose();
  Object.assign(v.metadata, metadata);
  return v;
}

/** A trainable variable of this shape that starts as `initializer` says. */
export function initialized(
  shape: Shape,
  random: RandomGenerator,
  initializer: Initializer,
  metadata: ParameterMetadata = {},
): Variable {
  return scope(() => parameter(initializer(shape, random), metadata));
}

export function metadataOf(v: Variable): ParameterMetadata {
  return v.metadata as ParameterMetadata;
}
