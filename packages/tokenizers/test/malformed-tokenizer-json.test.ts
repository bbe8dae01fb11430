import { BpeTokenizer, TokenizerError } from '@mamba-ts/tokenizers';
import { describe, expect, test } from 'vitest';
import { byteCharacters, smallTokenizerJson } from './samples';

type Json = Record<string, unknown>;

const good = smallTokenizerJson();
const vocab = (good['model'] as Json)['vocab'] as Record<string, number>;
const end = (good['added_tokens'] as Json[])[0]!;
const byteLevel = { type: 'ByteLevel', add_prefix_space: false };
const split = (pattern: unknown, more: Json = {}): Json => ({
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern, behavior: 'Isolated', ...more }, byteLevel],
  },
});
const template = (single: unknown, special: unknown = {}): Json => ({
  post_processor: { type: 'TemplateProcessing', single, pair: [], special_tokens: special },
});
const sequenceA = { Sequence: { id: 'A', type_id: 0 } };
const specialEnd = { SpecialToken: { id: '<|end|>', type_id: 0 } };
const without = (token: string): Json => Object.fromEntries(Object.entries(vocab).filter(([name]) => name !== token));

const wrong: [what: string, json: unknown, code: string, says: string][] = [
  ['no text', undefined, 'malformed', 'the file is a value of type undefined'],
  ['not JSON', '{"model":', 'malformed', 'is not JSON'],
  ['JSON of a list', '[]', 'malformed', 'the file is an array of 0'],
  ['no model', smallTokenizerJson({ model: undefined }), 'malformed', 'model is'],
  ['a Unigram model', smallTokenizerJson({}, { type: 'Unigram' }), 'unsupported', '"Unigram", only "BPE"'],
  ['no vocabulary', smallTokenizerJson({}, { vocab: undefined }), 'malformed', 'model.vocab'],
  ['an empty vocabulary', smallTokenizerJson({}, { vocab: {}, merges: [] }), 'malformed', 'at least one'],
  ['a vocabulary list', smallTokenizerJson({}, { vocab: [['a', 0]] }), 'malformed', 'an object'],
  ['an id twice', smallTokenizerJson({}, { vocab: { ...vocab, new: 5 } }), 'malformed', 'model.vocab["new"] is 5'],
  ['a negative id', smallTokenizerJson({}, { vocab: { ...vocab, new: -1 } }), 'malformed', 'is -1'],
  ['a fractional id', smallTokenizerJson({}, { vocab: { ...vocab, new: 0.5 } }), 'malformed', 'is 0.5'],
  ['an id of 2^31', smallTokenizerJson({}, { vocab: { ...vocab, new: 2 ** 31 } }), 'malformed', 'an integer below'],
  ['an id that is text', smallTokenizerJson({}, { vocab: { ...vocab, new: '9' } }), 'malformed', 'is "9"'],
  ['an empty token', smallTokenizerJson({}, { vocab: { ...vocab, '': 999 } }), 'malformed', 'is ""'],
  ['a missing byte', smallTokenizerJson({}, { vocab: without('Ħ'), merges: [] }), 'malformed', 'text would be lost'],
  ['no merges', smallTokenizerJson({}, { merges: undefined }), 'malformed', 'model.merges'],
  ['a merge of one', smallTokenizerJson({}, { merges: ['he'] }), 'malformed', 'model.merges[0] is "he"'],
  ['a merge of three', smallTokenizerJson({}, { merges: ['h e l'] }), 'malformed', 'model.merges[0]'],
  ['a numeric merge', smallTokenizerJson({}, { merges: [[1, 2]] }), 'malformed', 'model.merges[0]'],
  ['a merge into nothing', smallTokenizerJson({}, { merges: ['h h'] }), 'malformed', 'model.merges[0] is "hh"'],
  ['a merge of strangers', smallTokenizerJson({}, { merges: ['hq q'] }), 'malformed', '"hq"'],
  ['dropout', smallTokenizerJson({}, { dropout: 0.1 }), 'unsupported', 'model.dropout is 0.1'],
  ['byte fallback', smallTokenizerJson({}, { byte_fallback: true }), 'unsupported', 'byte_fallback'],
  ['word suffixes', smallTokenizerJson({}, { end_of_word_suffix: '</w>' }), 'unsupported', 'end_of_word_suffix'],
  ['an unknown unk_token', smallTokenizerJson({}, { unk_token: '<unk>' }), 'malformed', 'unk_token is "<unk>"'],
  ['a flag that is no boolean', smallTokenizerJson({}, { fuse_unk: 'yes' }), 'malformed', 'model.fuse_unk is "yes"'],
  ['added tokens as object', smallTokenizerJson({ added_tokens: {} }), 'malformed', 'added_tokens'],
  ['an added token without id', smallTokenizerJson({ added_tokens: [{ content: 'x' }] }), 'malformed', 'id'],
  ['a huge added id', smallTokenizerJson({ added_tokens: [{ ...end, id: 1e9 }] }), 'malformed', 'is 1000000000'],
  [
    'an added id that is taken',
    smallTokenizerJson({ added_tokens: [{ ...end, id: 3 }] }),
    'malformed',
    'does not have',
  ],
  [
    'an added token with another id',
    smallTokenizerJson({ added_tokens: [{ id: 999, content: 'he' }] }),
    'malformed',
    '256',
  ],
  ['an added token twice', smallTokenizerJson({ added_tokens: [end, { ...end, id: 400 }] }), 'malformed', 'its own'],
  ['an empty added token', smallTokenizerJson({ added_tokens: [{ ...end, content: '' }] }), 'malformed', 'content'],
  [
    'whole-word tokens',
    smallTokenizerJson({ added_tokens: [{ ...end, single_word: true }] }),
    'unsupported',
    'single_word',
  ],
  ['a Replace normalizer', smallTokenizerJson({ normalizer: { type: 'Replace' } }), 'unsupported', '"Replace"'],
  ['a normalizer list', smallTokenizerJson({ normalizer: [] }), 'malformed', 'normalizer is an array'],
  [
    'nested normalizers',
    smallTokenizerJson({ normalizer: { type: 'Sequence', normalizers: [{ type: 'Sequence', normalizers: [] }] } }),
    'unsupported',
    '"Sequence"',
  ],
  ['no pre-tokenizer', smallTokenizerJson({ pre_tokenizer: null }), 'unsupported', 'pre_tokenizer is null'],
  [
    'no word on a prefix space',
    smallTokenizerJson({ pre_tokenizer: { type: 'ByteLevel' } }),
    'malformed',
    'prefix_space',
  ],
  ['a Metaspace step', smallTokenizerJson({ pre_tokenizer: { type: 'Metaspace' } }), 'unsupported', '"Metaspace"'],
  ['an unknown pattern', smallTokenizerJson(split({ Regex: '(a+)+$' })), 'unsupported', 'pass trustPatterns'],
  ['a numeric pattern', smallTokenizerJson(split({ Regex: 7 })), 'malformed', 'pattern of a Split step'],
  [
    'a merging split',
    smallTokenizerJson(split({ String: 'x' }, { behavior: 'MergedWithNext' })),
    'unsupported',
    'behavior',
  ],
  ['an inverted split', smallTokenizerJson(split({ String: 'x' }, { invert: true })), 'unsupported', 'invert'],
  ['no decoder', smallTokenizerJson({ decoder: null }), 'unsupported', 'decoder is null'],
  ['a Metaspace decoder', smallTokenizerJson({ decoder: { type: 'Metaspace' } }), 'unsupported', '"Metaspace"'],
  ['a BERT post-processor', smallTokenizerJson({ post_processor: { type: 'BertProcessing' } }), 'unsupported', '"Bert'],
  ['a template without text', smallTokenizerJson(template([])), 'malformed', 'Sequence items'],
  ['a template with B', smallTokenizerJson(template([{ Sequence: { id: 'B' } }])), 'malformed', '"A"'],
  ['a template of strings', smallTokenizerJson(template(['A'])), 'malformed', 'an item of'],
  [
    'a template of a stranger',
    smallTokenizerJson(template([sequenceA, { SpecialToken: { id: '<s>' } }])),
    'malformed',
    '<s>',
  ],
  ['a template with no ids', smallTokenizerJson(template([sequenceA, specialEnd])), 'malformed', 'expected [268]'],
  [
    'a template with other ids',
    smallTokenizerJson(template([sequenceA, specialEnd], { '<|end|>': { ids: [5] } })),
    'malformed',
    'expected [268]',
  ],
];

describe('a tokenizer.json is refused with the reason', () => {
  test.each(wrong)('%s', (_what, json, code, says) => {
    const problem = { name: 'TokenizerError', code, message: expect.stringContaining(says) };
    expect(() => new BpeTokenizer(json)).toThrow(expect.objectContaining(problem));
  });

  test('limits are checked before anything is built', () => {
    const tokens = Array.from({ length: 100_001 }, (_, i) => ({ id: 1000 + i, content: `t${i}` }));
    const many = smallTokenizerJson({ added_tokens: tokens });
    expect(() => new BpeTokenizer(many)).toThrow(expect.objectContaining({ code: 'limit' }));
    const merges = { length: 2_000_001 };
    expect(() => new BpeTokenizer(smallTokenizerJson({}, { merges: Array.from(merges, () => 'h e') }))).toThrow(
      'model.merges has 2000001 entries',
    );
    expect(() => new BpeTokenizer(`"${' '.repeat(200_000_000)}"`)).toThrow(expect.objectContaining({ code: 'limit' }));
  });

  test('an unknown pattern runs when the caller trusts it, and a broken one is named', () => {
    const trusted = new BpeTokenizer(smallTokenizerJson(split({ Regex: 'wor' })), { trustPatterns: true });
    expect(trusted.decode(trusted.encode('hello world'))).toBe('hello world');
    expect(() => new BpeTokenizer(smallTokenizerJson(split({ Regex: '(' })), { trustPatterns: true })).toThrow(
      TokenizerError,
    );
  });

  test('a missing byte is no loss where there is an unk_token', () => {
    const model = { vocab: { ...without(byteCharacters()[0x81]!), '<unk>': 900 }, unk_token: '<unk>' };
    const tokenizer = new BpeTokenizer(smallTokenizerJson({}, model));
    expect([...tokenizer.encode('\u0081')]).toEqual([0xc2, 900]);
  });
});
