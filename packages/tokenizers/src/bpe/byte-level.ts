/**
 * Byte-level BPE writes each byte as one printable character, so that its vocabulary is readable JSON: bytes that are
 * printable in Latin-1 stand for themselves, the other 68 get the characters from U+0100 on, in order.
 */
const isPrintable = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);

const byteOfCharacter: ReadonlyMap<number, number> = new Map(
  (() => {
    let next = 0x100;
    return Array.from({ length: 256 }, (_, byte): [number, number] => [isPrintable(byte) ? byte : next++, byte]);
  })(),
);

/** Every byte's character. */
export const characterOfByte: readonly string[] = [...byteOfCharacter.keys()].map((code) => String.fromCharCode(code));

/** Bytes that occur in UTF-8 text. */
export const utf8Bytes: readonly number[] = Array.from({ length: 256 }, (_, byte) => byte).filter(
  (byte) => byte < 0xf5 && byte !== 0xc0 && byte !== 0xc1,
);

/**
 * The bytes of a token as the vocabulary writes it. A token with a character that stands for no byte (an added token
 * with a space in it, say) is plain text.
 */
export function bytesOfToken(token: string): Uint8Array {
  const bytes = new Uint8Array(token.length);
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCharacter.get(token.charCodeAt(i));
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes[i] = byte;
  }
  return bytes;
}

/**
 * How GPT-2 cuts a text into words, with the white space of Unicode. The library's own pattern says `\s`, which in
 * JavaScript takes U+FEFF for a space and U+0085 for none; the tokenizers that models were trained with do not.
 */
export const gpt2Pattern: RegExp = new RegExp(
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
    '|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+',
  'gu',
);
