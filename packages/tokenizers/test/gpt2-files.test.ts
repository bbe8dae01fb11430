import { BpeTokenizer, gpt2Tokenizer, StreamDecoder, TokenizerError } from '@mamba-ts/tokenizers';
import { describe, expect, it, test } from 'vitest';
import { randomText, seededRandom, smallTokenizerJson } from './samples';

const { vocab: bytesAndMerges, merges } = smallTokenizerJson()['model'] as { vocab: Record<string, number>; merges: string[] };
const vocab: Record<string, number> = { ...bytesAndMerges, '<|endoftext|>': Object.keys(bytesAndMerges).length };
const mergesText = `#version: 0.2\n${merges.join('\n')}\n`;

describe('gpt2Tokenizer', () => {
  const tokenizer = gpt2Tokenizer(JSON.stringify(vocab), mergesText, { eosToken: '<|endoftext|>' });

  it('knows the special token of the files, and that it is no text', () => {
    expect(tokenizer.eosId).toBe(vocab['<|endoftext|>']);
    expect(tokenizer.vocabSize).toBe(Object.keys(vocab).length);
    const ids = tokenizer.encode('hello<|endoftext|> world');
    expect(Array.from(ids)).toEqual([vocab['hello'], vocab['<|endoftext|>'], vocab['Ġworld']]);
    expect(tokenizer.decode(ids)).toBe('hello<|endoftext|> world');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('hello world');
  });

  it('gives the ids of the same tables in a tokenizer.json; text comes back whole, in pieces too', () => {
    const same = new BpeTokenizer({
      model: { type: 'BPE', vocab, merges },
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      decoder: { type: 'ByteLevel' },
    });
    const random = seededRandom(5);
    for (let i = 0; i < 200; i++) {
      const text = randomText(random, 30);
      const ids = tokenizer.encode(text);
      expect(ids).toEqual(same.encode(text));
      expect(tokenizer.decode(ids)).toBe(text);
      const decoder = new StreamDecoder(tokenizer);
      const pieces = Array.from(ids, (id) => decoder.push(id));
      for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      expect(pieces.join('') + decoder.flush()).toBe(text);
    }
  });

  it('takes files with Windows line ends, without a version line, and without special tokens', () => {
    const plain = gpt2Tokenizer(bytesAndMerges, merges.join('\r\n'));
    expect(plain.specialTokens.size).toBe(0);
    expect(Array.from(plain.encode('hello'))).toEqual([vocab['hello']]);
  });

  const wrong: [what: string, vocab: unknown, merges: unknown, options: object, code: string, says: string][] = [
    ['vocab.json that is not JSON', '{', mergesText, {}, 'malformed', 'vocab.json is not JSON'],
    ['a vocabulary list', '[]', mergesText, {}, 'malformed', 'model.vocab'],
    ['a merge of three', vocab, 'h e l', {}, 'malformed', 'model.merges[0]'],
    ['an empty line between', vocab, `${merges[0]}\n\n${merges[1]}`, {}, 'malformed', 'model.merges[1]'],
    ['a merge that makes no token', vocab, 'h h', {}, 'malformed', '"hh"'],
    ['merges that are no text', vocab, undefined, {}, 'invalid-argument', 'expected the text of merges.txt'],
    ['a special token that is not there', vocab, mergesText, { specialTokens: ['<pad>'] }, 'invalid-argument', '"<pad>"'],
  ];
  test.each(wrong)('%s is refused', (_, table, text, options, code, says) => {
    let error: unknown;
    try {
      gpt2Tokenizer(table, text as string, options);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(TokenizerError);
    expect((error as TokenizerError).code).toBe(code);
    expect((error as TokenizerError).message).toContain(says);
  });
});
