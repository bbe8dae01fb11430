/** What went wrong, for programs; the message says it for people. */
export type SafetensorsErrorCode =
  /** The file ends before the header or a tensor does, or a source returned fewer bytes than asked for. */
  | 'truncated'
  /** The header's length is zero, over the limit, or the header does not start with `{`. */
  | 'invalid-header'
  /** The header (or an index file) is not JSON, or has a value of the wrong kind. */
  | 'invalid-json'
  /** One key stands twice in one object, or one tensor in two shards. */
  | 'duplicate-key'
  /** The dtype's name is not one of the format's. */
  | 'unknown-dtype'
  /** A dimension is not an integer from 0 to 2^53 - 1, or there are too many dimensions. */
  | 'invalid-shape'
  /** The byte length of a shape does not fit in 2^53 - 1. */
  | 'overflow'
  /** `data_offsets` are not two ordered offsets inside the file. */
  | 'invalid-offsets'
  /** `data_offsets` and shape x dtype disagree on the number of bytes. */
  | 'size-mismatch'
  /** Two tensors share bytes. */
  | 'overlap'
  /** Bytes between or behind the tensors belong to none. */
  | 'hole'
  /** A limit on tensors, nesting or header size is exceeded. */
  | 'limit'
  /** A tensor that was asked for, or that an index lists, is not in the file. */
  | 'missing-tensor'
  /** A shard's file name leaves its folder or is no plain `*.safetensors` name. */
  | 'unsafe-file-name'
  /** An argument of this library's functions is wrong. */
  | 'invalid-argument'
  /** A value cannot be held by the type it is converted to. */
  | 'out-of-range'
  /** The host lacks what was asked for (no file system in a browser, big-endian numbers). */
  | 'unsupported-host';

/** Every error that reading or writing safetensors throws by itself. */
export class SafetensorsError extends Error {
  override readonly name: string = 'SafetensorsError';
  readonly code: SafetensorsErrorCode;

  constructor(code: SafetensorsErrorCode, message: string, options?: { cause?: unknown }) {
    super(`safetensors: ${message}`, options);
    this.code = code;
  }
}

const SHOWN = 80;

/** A name from a file, quoted, control characters escaped and cut short, so that no message grows with its input. */
export function quote(text: string): string {
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  return JSON.stringify(shown);
}

/** A shape as written in this project's messages, cut short. */
export function showShape(shape: readonly number[]): string {
  const shown = shape.length > 8 ? [...shape.slice(0, 8), '…'] : shape;
  return `(${shown.join(', ')})`;
}
