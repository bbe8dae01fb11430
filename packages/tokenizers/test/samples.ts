/** mulberry32: a small seeded generator of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ranges of code points from which texts are drawn: scripts, marks, emoji parts, white space, controls. */
const ranges: readonly (readonly [number, number])[] = [
  [0x20, 0x7e], [0x61, 0x7a], [0x61, 0x7a], [0x20, 0x20], [0x09, 0x0d], [0x00, 0x1f], [0x80, 0xff], [0x300, 0x36f],
  [0x370, 0x3ff], [0x590, 0x6ff], [0x2000, 0x206f], [0x3040, 0x30ff], [0x4e00, 0x9fff], [0xac00, 0xd7a3],
  [0xfe00, 0xfe0f], [0xfeff, 0xfeff], [0xfff0, 0xfffd], [0x1f300, 0x1faff], [0x1f1e6, 0x1f1ff], [0x10000, 0x10ffff],
];

/** A random text of up to `most` code points, with no unpaired surrogate. */
export function randomText(random: () => number, most: number): string {
  let text = '';
  for (let left = Math.floor(random() * (most + 1)); left > 0; left--) {
    const [low, high] = ranges[Math.floor(random() * ranges.length)]!;
    const code = low + Math.floor(random() * (high - low + 1));
    text += code >= 0xd800 && code < 0xe000 ? ' ' : String.fromCodePoint(code);
  }
  return text;
}

/** Each byte's character, from the table that byte-level BPE defines by its first and last printable bytes. */
export function byteCharacters(): string[] {
  const characters: string[] = [];
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    characters.push(String.fromCodePoint(printable ? byte : next++));
  }
  return characters;
}

type Json = Record<string, unknown>;

/**
 * A small tokenizer.json of the GPT-NeoX kind: 256 byte tokens (id = byte), some merges, two special tokens and one
 * added token of spaces. `changes` replaces top-level fields.
 */
export function smallTokenizerJson(changes: Json = {}, modelChanges: Json = {}): Json {
  const vocab: Record<string, number> = {};
  for (const [byte, character] of byteCharacters().entries()) vocab[character] = byte;
  const words = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'o r', 'Ġw or', 'Ġwor l', 'Ġworl d'];
  const merges = [...words, 'ð Ł', 'ðŁ ĺ', 'Ġ Ġ'];
  for (const merge of merges) vocab[merge.replace(' ', '')] = Object.keys(vocab).length;
  const end = Object.keys(vocab).length;
  const added = (id: number, content: string, special: boolean): Json => {
    return { id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: !special };
  };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [added(end, '<|end|>', true), added(end + 1, '<|pad|>', true), added(end + 2, '    ', false)],
    normalizer: { type: 'NFC' },
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    post_processor: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    model: { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, vocab, merges, ...modelChanges },
    ...changes,
  };
}
