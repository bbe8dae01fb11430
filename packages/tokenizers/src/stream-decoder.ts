import { utf8Decoder } from './byte-strings';
import type { DecodeOptions, Tokenizer } from './tokenizer';

/**
 * Text of tokens as they are generated. A token may end in the middle of a code point: its bytes are held back until
 * the next tokens complete it. The pieces in a row, `flush` included, are what `decode` gives for all ids at once.
 */
export class StreamDecoder {
  private readonly utf8: TextDecoder = utf8Decoder();
  private readonly tokenizer: Tokenizer;
  private readonly skipSpecialTokens: boolean;

  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.tokenizer = tokenizer;
    this.skipSpecialTokens = options.skipSpecialTokens ?? false;
  }

  /**
   * The text that `id` completes; empty while a code point is incomplete.
   *
   * @throws TokenizerError `invalid-id`; the decoder then goes on as if `push` had not been called.
   */
  push(id: number): string {
    const bytes = this.tokenizer.tokenBytes(id);
    if (this.skipSpecialTokens && this.tokenizer.isSpecial(id)) return '';
    return this.utf8.decode(bytes, { stream: true });
  }

  /** The rest: U+FFFD where the last code point never came to its end. The decoder is then as new. */
  flush(): string {
    return this.utf8.decode();
  }
}
