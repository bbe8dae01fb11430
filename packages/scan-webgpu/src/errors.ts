/** What went wrong with a scan's plan or buffers; `code` is for programs, the message for people. */
export type ScanGpuErrorCode =
  /** A tensor or the scratch is larger than the device can bind. */
  | 'limit'
  /** The device lacks a feature that the options ask for. */
  | 'feature'
  /** An option has a value that it can't have. */
  | 'option'
  /** A buffer is missing, too small, misaligned, of the wrong usage, or bound twice. */
  | 'buffer'
  /** A kernel did not compile. */
  | 'compile';

export class ScanGpuError extends Error {
  override readonly name = 'ScanGpuError';
  /** @param argument the tensor, buffer or option at fault */
  constructor(
    readonly code: ScanGpuErrorCode,
    readonly argument: string,
    message: string,
  ) {
    super(`scan-webgpu: ${message}`);
  }
}
