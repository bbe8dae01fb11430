import type { Codec } from './codec';

/** How `encode` treats a text. */
export interface EncodeOptions {
  /** Whether the tokens that the tokenizer puts around every text (BOS, EOS) are added; default true. */
  readonly addSpecialTokens?: boolean;
}

/** How ids become text. */
export interface DecodeOptions {
  /** Whether special tokens are left out of the text; default false. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Text to token ids and back. A tokenizer's tokens are byte strings: `decode` is the UTF-8 decoding of the tokens'
 * bytes in a row (what is not UTF-8 becomes U+FFFD), which is why text can also be decoded while it arrives; see
 * `StreamDecoder`.
 */
export interface Tokenizer extends Codec<string> {
  /** Tokens that stand for no text (end of text, padding), by their content. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Begin of text, where the tokenizer has one. */
  readonly bosId?: number | undefined;
  /** End of text, where the tokenizer has one. */
  readonly eosId?: number | undefined;
  /** Padding, where the tokenizer has one. */
  readonly padId?: number | undefined;

  /** The ids of `text`, in order. @throws TokenizerError when `text` is no string. */
  encode(text: string, options?: EncodeOptions): Int32Array;

  /**
   * The text of `ids`.
   *
   * @throws TokenizerError `invalid-id` for an id that is not an integer or that no token has.
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;

  /** The bytes of one token. Do not write into them. @throws TokenizerError `invalid-id`. */
  tokenBytes(id: number): Uint8Array;

  /** Whether `id` is a special token's. */
  isSpecial(id: number): boolean;
}
