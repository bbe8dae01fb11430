import { BpeTokenizer, gpt2Tokenizer, TokenizerError } from '@mamba-ts/tokenizers';
import { fuzz, Mutator } from '@mamba-ts/vitest-preset/fuzz';
import { expect, test } from 'vitest';
import { smallTokenizerJson } from './samples';

const mutations = 100_000;

type Json = Record<string, unknown>;

/** A tokenizer.json with every kind of step in a few tokens: a missing byte is no loss where there is an unk_token. */
const tiny: Json = {
  version: '1.0',
  added_tokens: [
    { id: 9, content: '<|end|>', special: true, single_word: false, lstrip: false, rstrip: true, normalized: false },
    { id: 10, content: '  ', special: false },
  ],
  normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { type: 'Split', pattern: { String: 'b' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    ],
  },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<|end|>', type_id: 0 } }],
    pair: [],
    special_tokens: { '<|end|>': { id: '<|end|>', ids: [9], tokens: ['<|end|>'] } },
  },
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: false,
    ignore_merges: false,
    vocab: { '<unk>': 0, a: 1, b: 2, Ġ: 3, 'Ã': 4, '½': 5, ab: 6, Ġa: 7, Ġab: 8 },
    merges: ['a b', ['Ġ', 'a'], 'Ġa b'],
  },
};
const withAllBytes = smallTokenizerJson();
const plausible: readonly unknown[] = ['Sequence', 'ByteLevel', 'Split', 'NFKD', 'BPE', 'Unigram', 'a', 'ab', 'a b', '<|end|>', { Regex: '(a+)+$' }, { String: ' ' }, { type: 'ByteLevel' }];

test(`${mutations} mutated tokenizer.json: refused with a TokenizerError, or usable`, async () => {
  const mutator = new Mutator(5);
  const text = 'ab  a<|end|> abb ½ 😀 12';
  const texts = { tiny: JSON.stringify(tiny), whole: JSON.stringify(withAllBytes) };
  const report = await fuzz<unknown>({
    count: mutations,
    input: (i) => {
      const whole = i % 50 === 0;
      // Values first: text that is no JSON any more tests the parser only.
      if (i % 4 === 3) return mutator.jsonText(whole ? texts.whole : texts.tiny);
      return mutator.json(whole ? withAllBytes : tiny, plausible);
    },
    read: (json) => {
      const tokenizer = new BpeTokenizer(json);
      const ids = tokenizer.encode(text);
      for (const id of ids) if (!(id >= 0 && id < tokenizer.vocabSize)) throw new Error(`encode gave ${id}`);
      tokenizer.decode(ids);
      tokenizer.decode(ids, { skipSpecialTokens: true });
    },
    typed: [TokenizerError],
  });
  for (const code of ['malformed', 'unsupported']) expect(report.refused.get(code) ?? 0, code).toBeGreaterThan(mutations / 50);
  expect(report.accepted).toBeGreaterThan(mutations / 50);
  expect(report.accepted).toBeLessThan(mutations * 0.8);
  expect(report.heapGrowth).toBeLessThan(256 * 2 ** 20);
  expect(report.slowest).toBeLessThan(5000);
}, 600_000);

test('mutated vocab.json and merges.txt: refused with a TokenizerError, or usable', async () => {
  const mutator = new Mutator(6);
  const { vocab, merges } = withAllBytes['model'] as { vocab: Record<string, number>; merges: string[] };
  const [vocabText, mergesText] = [JSON.stringify(vocab), `#version: 0.2\n${merges.join('\n')}\n`];
  const report = await fuzz<{ vocab: string; merges: string }>({
    count: 2000,
    input: (i) => {
      if (i % 2 === 0) return { vocab: mutator.jsonText(vocabText), merges: mergesText };
      return { vocab: vocabText, merges: new TextDecoder().decode(mutator.bytes(new TextEncoder().encode(mergesText))) };
    },
    read: (files) => {
      const tokenizer = gpt2Tokenizer(files.vocab, files.merges);
      expect(tokenizer.decode(tokenizer.encode('hello world ½ 😀'))).toBe('hello world ½ 😀');
    },
    typed: [TokenizerError],
  });
  expect(report.accepted).toBeGreaterThan(20);
  expect(report.refused.get('malformed') ?? 0).toBeGreaterThan(200);
}, 600_000);
