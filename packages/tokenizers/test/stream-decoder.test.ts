import { BpeTokenizer, ByteTokenizer, StreamDecoder, type Tokenizer } from '@mamba-ts/tokenizers';
import { describe, expect, test } from 'vitest';
import { randomText, seededRandom, smallTokenizerJson } from './samples';

const bpe = new BpeTokenizer(smallTokenizerJson());
const tokenizers: [string, Tokenizer][] = [
  ['bytes', new ByteTokenizer()],
  ['BPE', bpe],
];

function pieces(tokenizer: Tokenizer, ids: Iterable<number>, skipSpecialTokens = false): string[] {
  const decoder = new StreamDecoder(tokenizer, { skipSpecialTokens });
  return [...Array.from(ids, (id) => decoder.push(id)), decoder.flush()];
}

describe.each(tokenizers)('%s', (_name, tokenizer) => {
  test('the pieces of random texts are whole code points and join to the text', () => {
    const random = seededRandom(2);
    for (let i = 0; i < 1000; i++) {
      const ids = tokenizer.encode(randomText(random, 30));
      const parts = pieces(tokenizer, ids);
      expect(parts.join('')).toBe(tokenizer.decode(ids));
      expect(parts.every((part) => part.isWellFormed())).toBe(true);
      // Valid text has no U+FFFD of its own making.
      expect(parts.at(-1)).toBe('');
    }
  });

  test('random ids, most of which are not UTF-8, join to what decode gives', () => {
    const random = seededRandom(3);
    for (let i = 0; i < 3000; i++) {
      const ids = Array.from({ length: Math.floor(random() * 12) }, () => Math.floor(random() * tokenizer.vocabSize));
      const parts = pieces(tokenizer, ids);
      expect(parts.join('')).toBe(tokenizer.decode(ids));
      expect(parts.every((part) => part.isWellFormed())).toBe(true);
    }
  });

  test('every byte pair and every lead byte that is left open', () => {
    for (let first = 0; first < 256; first++) {
      for (const second of [0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff]) {
        const ids = [first, second, 0x41];
        expect(pieces(tokenizer, ids).join('')).toBe(tokenizer.decode(ids));
        expect(pieces(tokenizer, ids.slice(0, 2)).join('')).toBe(tokenizer.decode(ids.slice(0, 2)));
      }
    }
  });
});

test('a code point comes out with its last byte; flush ends an open one and starts anew', () => {
  const decoder = new StreamDecoder(new ByteTokenizer());
  expect([0xf0, 0x9f, 0x98].map((id) => decoder.push(id))).toEqual(['', '', '']);
  expect(decoder.push(0x80)).toBe('😀');
  expect(decoder.push(0xe2)).toBe('');
  expect(decoder.flush()).toBe('\ufffd');
  expect(decoder.push(0x82)).toBe('\ufffd');
  expect(decoder.flush()).toBe('');
  expect([0xef, 0xbb, 0xbf].map((id) => decoder.push(id)).join('')).toBe('\ufeff');
});

test('special tokens are left out on request, in the middle of a code point too', () => {
  const ids = [0xf0, 0x9f, bpe.specialTokens.get('<|end|>')!, 0x98, 0x80, bpe.specialTokens.get('<|pad|>')!];
  expect(pieces(bpe, ids, true).join('')).toBe('😀');
  expect(bpe.decode(ids, { skipSpecialTokens: true })).toBe('😀');
  expect(pieces(bpe, ids).join('')).toBe('\ufffd<|end|>\ufffd\ufffd<|pad|>');
});

test('a wrong id throws and loses nothing that was pushed', () => {
  const decoder = new StreamDecoder(new ByteTokenizer());
  decoder.push(0xc3);
  expect(() => decoder.push(256)).toThrow(expect.objectContaining({ code: 'invalid-id' }));
  expect(() => decoder.push(NaN)).toThrow(expect.objectContaining({ code: 'invalid-id' }));
  expect(decoder.push(0xa9)).toBe('é');
});
