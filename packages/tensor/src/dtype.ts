/**
 * Element types. `float32` is the default; `bfloat16` and `float16` are storage only (arithmetic is done in float32);
 * `bool` is stored as a 32-bit 0 or 1 on every device, so that no device needs byte access.
 */
export type DType = 'float32' | 'int32' | 'bool' | 'bfloat16' | 'float16';

/** Types that arithmetic is done in: half-precision storage is widened on load. */
export type ComputeType = 'float32' | 'int32' | 'bool';

/** What `tensor.data()` gives: float types as Float32Array (Float64Array on the reference device), int32 and bool as integers. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array;

const bytesOf: Record<DType, number> = { float32: 4, int32: 4, bool: 4, bfloat16: 2, float16: 2 };

/** Bytes of one element in device memory. */
export function byteSize(dtype: DType): number {
  return bytesOf[dtype];
}

/** Is this one of the five types? For values that come from outside (configs, files). */
export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(bytesOf, value);
}

/** Is this a floating-point type (gradients exist for these only)? */
export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'bfloat16' || dtype === 'float16';
}

/** The type that values of `dtype` are computed in. */
export function computeType(dtype: DType): ComputeType {
  return dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
}

/** NumPy-like promotion: bool < int32 < float16/bfloat16 < float32; the two halves together give float32. */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a;
  const rank: Record<DType, number> = { bool: 0, int32: 1, float16: 2, bfloat16: 2, float32: 3 };
  if (rank[a] === rank[b]) return 'float32';
  return rank[a] > rank[b] ? a : b;
}
