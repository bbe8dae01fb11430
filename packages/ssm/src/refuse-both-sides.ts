import { TensorError } from '@mamba-ts/tensor';

/** Refuses what a layer that sees the future cannot have: a step, a state, boundaries of packed sequences. */
export function refuseBothSides(layer: string, what: string): never {
  throw new TensorError(
    `${layer}: ${what} was asked of a bidirectional layer, which looks at all of its input: use forward of whole sequences`,
  );
}
