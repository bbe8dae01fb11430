/** What a reader is willing to hold for a file that it does not trust. */
export interface TorchFileLimits {
  /** Bytes of the pickle that lists the tensors; default 64 MiB. */
  readonly maxPickleBytes?: number;
  /** Entries of the archive, and tensors of the pickle; default 100,000 of each. */
  readonly maxTensors?: number;
  /** Bytes that a tensor whose strides repeat its storage's elements may grow to; default 1 GiB. */
  readonly maxExpandedBytes?: number;
}

export const defaultLimits: Required<TorchFileLimits> = {
  maxPickleBytes: 2 ** 26,
  maxTensors: 100_000,
  maxExpandedBytes: 2 ** 30,
};
