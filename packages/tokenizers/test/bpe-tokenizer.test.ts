import { BpeTokenizer, TokenizerError } from '@mamba-ts/tokenizers';
import { describe, expect, test } from 'vitest';
import { randomText, seededRandom, smallTokenizerJson } from './samples';

const json = smallTokenizerJson();
const tokenizer = new BpeTokenizer(json, { eosToken: '<|end|>', padToken: '<|pad|>' });
/** What the ids stand for, as the vocabulary writes it. */
const names = new Map(
  Object.entries((json['model'] as { vocab: Record<string, number> }).vocab).map(([token, id]) => [id, token]),
);
const spell = (ids: Iterable<number>): string[] => Array.from(ids, (id) => names.get(id) ?? tokenizer.decode([id]));

describe('a small GPT-NeoX-like tokenizer', () => {
  test('merges in order of rank, inside words only', () => {
    expect(spell(tokenizer.encode('hello world'))).toEqual(['hello', 'Ġworld']);
    expect(spell(tokenizer.encode('hellworld'))).toEqual(['hell', 'w', 'or', 'l', 'd']);
    expect(spell(tokenizer.encode('😀'))).toEqual(['ðŁĺ', 'Ģ']);
    expect([...tokenizer.encode('')]).toEqual([]);
  });

  test('special and added tokens are taken whole; the vocabulary counts them', () => {
    expect(spell(tokenizer.encode('he<|end|>he'))).toEqual(['he', '<|end|>', 'he']);
    expect(spell(tokenizer.encode('a    b'))).toEqual(['a', '    ', 'b']);
    expect(tokenizer.vocabSize).toBe(256 + 12 + 3);
    expect([...tokenizer.specialTokens]).toEqual([
      ['<|end|>', 268],
      ['<|pad|>', 269],
    ]);
    expect([tokenizer.bosId, tokenizer.eosId, tokenizer.padId]).toEqual([undefined, 268, 269]);
    expect([267, 268, 270].map((id) => tokenizer.isSpecial(id))).toEqual([false, true, false]);
    expect(tokenizer.tokenToId('Ġworld')).toBe(264);
    expect(tokenizer.tokenToId('Ġnobody')).toBeUndefined();
    expect(new TextDecoder().decode(tokenizer.tokenBytes(264))).toBe(' world');
  });

  test('text is normalized as the file says', () => {
    expect(tokenizer.decode(tokenizer.encode('e\u0301'))).toBe('é');
    const plain = new BpeTokenizer(smallTokenizerJson({ normalizer: null }));
    expect(plain.decode(plain.encode('e\u0301'))).toBe('e\u0301');
    const lower = new BpeTokenizer(
      smallTokenizerJson({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] } }),
    );
    expect(lower.decode(lower.encode('HELLO É'))).toBe('hello é');
  });

  test('white space is that of Unicode: U+0085 is, U+FEFF is not', () => {
    // `\s+(?!\S)` leaves the last white space to the word behind: only where both are white space do they group.
    const wide = new BpeTokenizer(smallTokenizerJson({ added_tokens: [] }));
    const words = (text: string): number => wide.encode(text).length;
    expect(spell(wide.encode(' \ufeff'))).toEqual(['Ġ', 'ï', '»', '¿']);
    expect(words('  \u0085')).toBe(3);
    expect(spell(wide.encode('  \u0085'))).toEqual(['ĠĠ', 'Â', 'ħ']);
    expect(spell(wide.encode('  \ufeff'))).toEqual(['Ġ', 'Ġ', 'ï', '»', '¿']);
  });

  test('a prefix space, splits, digits and a template', () => {
    const prefixed = new BpeTokenizer(
      smallTokenizerJson({ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true } }),
    );
    expect(spell(prefixed.encode('world'))).toEqual(['Ġworld']);
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|end|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<|end|>': { id: '<|end|>', ids: [268], tokens: ['<|end|>'] } },
    };
    const pattern =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" +
      '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
    const llama = new BpeTokenizer(
      smallTokenizerJson({
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
            { type: 'Digits', individual_digits: true },
            { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
          ],
        },
        post_processor: template,
      }),
    );
    expect(spell(llama.encode('hello world'))).toEqual(['<|end|>', 'hello', 'Ġworld']);
    expect(spell(llama.encode('hello', { addSpecialTokens: false }))).toEqual(['hello']);
    expect(llama.decode(llama.encode('12½', { addSpecialTokens: false }))).toBe('12½');
  });

  test('random texts come back normalized; unpaired surrogates come back as U+FFFD', () => {
    const random = seededRandom(4);
    for (let i = 0; i < 2000; i++) {
      const text = randomText(random, 40);
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text.normalize('NFC'));
      expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
    }
    expect(tokenizer.decode(tokenizer.encode('a\ud83d hello\udc00'))).toBe('a\ufffd hello\ufffd');
  });

  test('a token named __proto__ and one named constructor', () => {
    const text = JSON.stringify(json).replace('"hello":', '"__proto__":').replace('"hell o",', '');
    expect(new BpeTokenizer(text).tokenToId('__proto__')).toBe(259);
    expect(tokenizer.tokenToId('constructor')).toBeUndefined();
  });

  test.each([-1, 271, 0.5, NaN, Infinity, '7' as unknown as number])('id %s', (id) => {
    const wrong = expect.objectContaining({ name: 'TokenizerError', code: 'invalid-id' });
    expect(() => tokenizer.decode([104, id])).toThrow(wrong);
    expect(() => tokenizer.decode([id], { skipSpecialTokens: true })).toThrow('expected an integer from 0 to 270');
    expect(() => tokenizer.tokenBytes(id)).toThrow(wrong);
    expect(() => tokenizer.isSpecial(id)).toThrow(wrong);
  });

  test('an id in a gap of the vocabulary, a text that is no string, an unknown eosToken', () => {
    const [first] = json['added_tokens'] as Record<string, unknown>[];
    const gap = new BpeTokenizer(smallTokenizerJson({ added_tokens: [{ ...first, id: 300 }] }));
    expect(gap.vocabSize).toBe(301);
    expect(() => gap.decode([299])).toThrow('token id at index 0 is 299, which no token has');
    expect(() => tokenizer.encode(null as unknown as string)).toThrow(TokenizerError);
    expect(() => new BpeTokenizer(json, { eosToken: '</s>' })).toThrow('eosToken is "</s>", which is not in');
  });
});
