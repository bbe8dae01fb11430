/** A call of the CUDA driver failed, or there is no driver. `code` is a CUresult, 0 where no call was made. */
export class CudaError extends Error {
  override readonly name = 'CudaError';
  constructor(
    /** What was attempted: a driver function, or `loading the driver`. */
    readonly operation: string,
    /** Name of the CUresult, e.g. `CUDA_ERROR_OUT_OF_MEMORY`, or of what is missing. */
    readonly reason: string,
    readonly code: number = 0,
    options?: ErrorOptions,
  ) {
    super(`CUDA: ${operation} failed: ${reason}${code === 0 ? '' : ` (${code})`}`, options);
  }
}
