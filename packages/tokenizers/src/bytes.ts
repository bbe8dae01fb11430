import { checkId, checkText, utf8Decoder } from './byte-strings';
import type { Tokenizer } from './tokenizer';

/** The 256 one-byte tokens, shared by all byte tokenizers. */
const BYTES: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** Text as its UTF-8 bytes: id = byte, vocabulary 256, no special tokens. */
export class ByteTokenizer implements Tokenizer {
  readonly vocabSize: number = 256;
  readonly specialTokens: ReadonlyMap<string, number> = new Map();

  encode(text: string): Int32Array {
    checkText(text);
    return Int32Array.from(new TextEncoder().encode(text));
  }

  decode(ids: ArrayLike<number>): string {
    const bytes = new Uint8Array(ids.length);
    for (let i = 0; i < bytes.length; i++) {
      checkId(ids[i]!, 256, i);
      bytes[i] = ids[i]!;
    }
    return utf8Decoder().decode(bytes);
  }

  tokenBytes(id: number): Uint8Array {
    checkId(id, 256);
    return BYTES.subarray(id, id + 1);
  }

  isSpecial(id: number): boolean {
    checkId(id, 256);
    return false;
  }
}
