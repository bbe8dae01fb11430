import { ByteTokenizer, TokenizerError } from '@mamba-ts/tokenizers';
import { expect, test } from 'vitest';
import { randomText, seededRandom } from './samples';

const tokenizer = new ByteTokenizer();

test('ids are UTF-8 bytes', () => {
  expect(tokenizer.vocabSize).toBe(256);
  expect([...tokenizer.encode('aé😀\ufeff')]).toEqual([0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbb, 0xbf]);
  expect(tokenizer.decode([0x61, 0xc3, 0xa9])).toBe('aé');
  expect([...tokenizer.encode('')]).toEqual([]);
  expect(tokenizer.decode([])).toBe('');
  expect([...tokenizer.tokenBytes(200)]).toEqual([200]);
  expect(tokenizer.isSpecial(0)).toBe(false);
});

test('random texts come back, byte order marks included', () => {
  const random = seededRandom(1);
  for (let i = 0; i < 2000; i++) {
    const text = randomText(random, 40);
    expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
  }
});

test('what is not UTF-8 becomes U+FFFD, in both directions', () => {
  expect(tokenizer.decode([0xff, 0x61, 0xe2, 0x82])).toBe('\ufffda\ufffd');
  expect(tokenizer.decode(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb');
});

test.each([-1, 256, 0.5, NaN, Infinity, '7' as unknown as number, undefined as unknown as number])('id %s', (id) => {
  const wrong = expect.objectContaining({ name: 'TokenizerError', code: 'invalid-id' });
  expect(() => tokenizer.decode([1, id])).toThrow(wrong);
  expect(() => tokenizer.decode([1, id])).toThrow('token id at index 1 is');
  expect(() => tokenizer.tokenBytes(id)).toThrow(wrong);
  expect(() => tokenizer.isSpecial(id)).toThrow(TokenizerError);
});

test('a text that is no string', () => {
  expect(() => tokenizer.encode(7 as unknown as string)).toThrow('text is of type number, expected a string');
});
