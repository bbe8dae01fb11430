import { DnaTokenizer, reverseComplement, StreamDecoder, TokenizerError } from '@mamba-ts/tokenizers';
import { expect, it } from 'vitest';

it('is the table of HyenaDNA', () => {
  const tokenizer = new DnaTokenizer();
  expect(tokenizer.vocabSize).toBe(12);
  expect([...tokenizer.specialTokens]).toEqual([['[CLS]', 0], ['[SEP]', 1], ['[BOS]', 2], ['[MASK]', 3], ['[PAD]', 4], ['[RESERVED]', 5], ['[UNK]', 6]]);
  expect([tokenizer.eosId, tokenizer.bosId, tokenizer.padId]).toEqual([1, 2, 4]);
  expect([7, 8, 9, 10, 11].map((id) => new TextDecoder().decode(tokenizer.tokenBytes(id))).join('')).toBe('ACGTN');
  expect([6, 7].map((id) => tokenizer.isSpecial(id))).toEqual([true, false]);
});

it('reads bases, ends with [SEP], and takes all else for unknown', () => {
  const tokenizer = new DnaTokenizer();
  expect(Array.from(tokenizer.encode('ACGTNxa'))).toEqual([7, 8, 9, 10, 11, 6, 6, 1]);
  expect(Array.from(tokenizer.encode('A😀C', { addSpecialTokens: false }))).toEqual([7, 6, 8]);
  const ids = tokenizer.encode('GATTACA');
  expect(tokenizer.decode(ids)).toBe('GATTACA[SEP]');
  expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('GATTACA');
  const decoder = new StreamDecoder(tokenizer, { skipSpecialTokens: true });
  expect(Array.from(ids, (id) => decoder.push(id))).toEqual([...'GATTACA', '']);
});

it('reads genome files: soft-masked letters, RNA and ambiguity codes', () => {
  const tokenizer = new DnaTokenizer({ letters: 'genome' });
  expect(tokenizer.decode(tokenizer.encode('ACgtnURyk-', { addSpecialTokens: false }))).toBe('ACGTNTNNN[UNK]');
  expect(() => new DnaTokenizer({ letters: 'all' as 'genome' })).toThrow(TokenizerError);
});

it('pads on the left and refuses what does not fit', () => {
  const tokenizer = new DnaTokenizer();
  expect(Array.from(tokenizer.padLeft(tokenizer.encode('AC'), 5))).toEqual([4, 4, 7, 8, 1]);
  expect(() => tokenizer.padLeft([7, 8, 1], 2)).toThrow('length is 2, expected an integer of at least the 3 ids');
  expect(() => tokenizer.decode([12])).toThrow(TokenizerError);
});

it('reverses and complements', () => {
  expect(reverseComplement('AACGTTN')).toBe('NAACGTT');
  expect(reverseComplement('aCgT-n')).toBe('n-AcGt');
  expect(reverseComplement(reverseComplement('GATTACA'))).toBe('GATTACA');
});
