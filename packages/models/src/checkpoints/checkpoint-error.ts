import { TensorError } from '@mamba-ts/tensor';

/** A checkpoint that cannot be found, read or written. What does not fit inside it has errors of its own. */
export class CheckpointError extends TensorError {
  override name = 'CheckpointError';
}
