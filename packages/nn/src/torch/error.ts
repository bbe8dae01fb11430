/** What went wrong, for programs; the message says it for people. */
export type TorchFileErrorCode =
  /** No zip archive, or one of PyTorch before 1.6 (a bare pickle). */
  | 'not-a-zip'
  /** The archive's records contradict each other or the file's size. */
  | 'invalid-zip'
  /** An entry is compressed or encrypted; PyTorch stores. */
  | 'not-stored'
  /** An entry's name, or a storage's key, leads outside the archive's folder; or a shard's, outside the checkpoint's. */
  | 'unsafe-path'
  /** A record that must be in the archive is not there. */
  | 'missing-entry'
  /** The pickle ends too early, or does not fit together. */
  | 'invalid-pickle'
  /** An instruction that no state dict needs. */
  | 'forbidden-opcode'
  /** A class or function that is not one of the few that state dicts are made of. */
  | 'forbidden-global'
  /** A tensor whose numbers have no type here (complex, quantised). */
  | 'unsupported-dtype'
  /** A tensor that does not fit its storage. */
  | 'invalid-tensor'
  /** The file asks for more than the reader is willing to hold. */
  | 'limit'
  /** The index of a sharded checkpoint is no JSON, or has no map of tensors to files. */
  | 'invalid-index'
  /** A tensor is in two shards. */
  | 'duplicate-tensor'
  /** A tensor that was asked for, or that an index lists, is not in the file. */
  | 'missing-tensor'
  /** The source returned fewer bytes than asked for. */
  | 'truncated'
  /** Written on a big-endian machine. */
  | 'big-endian'
  /** An argument of this library's functions is wrong. */
  | 'invalid-argument';

/** Every error that reading or writing `pytorch_model.bin` throws by itself. */
export class TorchFileError extends Error {
  override readonly name: string = 'TorchFileError';
  readonly code: TorchFileErrorCode;

  constructor(code: TorchFileErrorCode, message: string, options?: { cause?: unknown }) {
    super(`torch file: ${message}`, options);
    this.code = code;
  }
}
