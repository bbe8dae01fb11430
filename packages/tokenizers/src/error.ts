/** What went wrong, for programs; the message says it for people. */
export type TokenizerErrorCode =
  /** An id is not an integer, or no token has it. */
  | 'invalid-id'
  /** Another argument is wrong. */
  | 'invalid-argument'
  /** A tokenizer.json is not JSON, or contradicts itself. */
  | 'malformed'
  /** A tokenizer.json asks for something that this package does not do. */
  | 'unsupported'
  /** A tokenizer.json is larger than any real one. */
  | 'limit';

/** Every error that this package throws by itself. */
export class TokenizerError extends Error {
  override readonly name: string = 'TokenizerError';
  readonly code: TokenizerErrorCode;

  constructor(code: TokenizerErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

const SHOWN = 60;

/** A value for a message: short, on one line, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    return JSON.stringify(value.length > SHOWN ? `${value.slice(0, SHOWN)}…` : value);
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return `a value of type ${typeof value}`;
}
