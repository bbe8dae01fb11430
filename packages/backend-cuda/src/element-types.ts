import type { DType } from '@mamba-ts/tensor';

/** Numbers of the float types in kernels/numbers.cuh. */
export const elementTypes: Readonly<Record<ElementType, number>> = { float32: 0, bfloat16: 1, float16: 2 };

export type ElementType = Extract<DType, 'float32' | 'bfloat16' | 'float16'>;
