import type { DType } from '../dtype';
import type { Shape } from '../shape';

/** A dense row-major array of the reference backend: floats of every storage type are held in float64. */
export interface RefArray {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: Float64Array | Int32Array;
}

/**
 * A routine in float64: reads `inputs` (null where absent) and fills `outputs`, which are allocated with their final shapes and zeros.
 * Plain loops that follow the definition: this is the oracle.
 */
export type ReferenceRoutine = (
  inputs: readonly (RefArray | null)[],
  outputs: readonly RefArray[],
  attributes: Readonly<Record<string, number | boolean>>,
) => void;
