import type { DType } from '@mamba-ts/tensor';

/** Numbers of the float types in kernels/numbers.cuh. */
export const elementTypes = { float32: 0, bfloat16: 1, float16: 2 } as const satisfies Partial<Record<DType, number>>;

export type ElementType = keyof typeof elementTypes;
