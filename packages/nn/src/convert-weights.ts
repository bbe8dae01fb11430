import type { Module } from './module';
import { metadataOf } from './parameter';

/**
 * Stores a model's matrices and embedding tables as `dtype`, half the memory and half the bytes per token; everything else (norms, biases, A, D,
 * Δ's bias, short convolutions) stays float32. One tensor at a time, so that no second copy of the model exists. Products still sum in float32.
 *
 * Call it before steps are compiled. To load a checkpoint in half precision convert the fresh model first: values are rounded as they are read.
 * Training wants float32 weights: for mixed precision cast the weights inside the step instead.
 *
 * What is converted are the parameters whose metadata say `halfPrecision` (`Linear`, `Embedding`, language model heads, Δ's projection).
 */
export function convertWeights(model: Module, dtype: 'float32' | 'bfloat16' | 'float16'): void {
  for (const v of model.parameters().values()) if (metadataOf(v).halfPrecision === true) v.convert(dtype);
}
