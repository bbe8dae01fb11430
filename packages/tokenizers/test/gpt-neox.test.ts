import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { BpeTokenizer, StreamDecoder } from '@mamba-ts/tokenizers';
import { describe, expect, test } from 'vitest';
import { randomText, seededRandom } from './samples';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));
const present = existsSync(`${shared}data/gpt-neox-20b-tokenizer.json`);
if (!present) console.log('left out: the GPT-NeoX tokenizer (no ../shared/data beside the repository)');

interface Case {
  text: string;
  ids: number[];
  decoded: string;
}

describe.skipIf(!present)('GPT-NeoX, against the Rust implementation', () => {
  const read = (path: string): string => readFileSync(shared + path, 'utf8');
  const json = present ? read('data/gpt-neox-20b-tokenizer.json') : '';
  const tokenizer = present ? new BpeTokenizer(json, { eosToken: '<|endoftext|>' }) : (undefined as never);

  test('ids and texts of all cases', () => {
    const cases = JSON.parse(read('fixtures/tokenizer/gpt-neox-20b.json')) as Case[];
    expect(cases.length).toBeGreaterThan(0);
    for (const { text, ids, decoded } of cases) {
      expect([...tokenizer.encode(text)]).toEqual(ids);
      expect(tokenizer.decode(ids)).toBe(decoded);
    }
    expect([tokenizer.vocabSize, tokenizer.eosId]).toEqual([50277, 0]);
  });

  test('all of tinyshakespeare: count and hash of the ids, and back, at once and as a stream', () => {
    const text = read('data/tinyshakespeare.txt');
    const expected = JSON.parse(read('fixtures/tokenizer/tinyshakespeare.json')) as Record<string, unknown>;
    const started = performance.now();
    const ids = tokenizer.encode(text);
    const seconds = (performance.now() - started) / 1000;
    const perSecond = (text.length / 1e6 / seconds).toFixed(2);
    console.log(`encode: ${text.length} characters, ${ids.length} ids in ${seconds.toFixed(2)} s (${perSecond} MB/s)`);
    expect({
      count: ids.length,
      sha256_u32le: createHash('sha256').update(Uint8Array.from(new Uint8Array(ids.buffer))).digest('hex'),
      first: [...ids.subarray(0, (expected['first'] as number[]).length)],
    }).toEqual(expected);
    expect(tokenizer.decode(ids)).toBe(text);
    const decoder = new StreamDecoder(tokenizer);
    expect(Array.from(ids, (id) => decoder.push(id)).join('') + decoder.flush()).toBe(text);
  });

  test('random texts: decode undoes encode up to NFC, and agrees with the library’s own decode', () => {
    const library = new HuggingFaceTokenizer(JSON.parse(json) as object, { clean_up_tokenization_spaces: false });
    const random = seededRandom(6);
    for (let i = 0; i < 1000; i++) {
      const text = randomText(random, 60);
      const ids = tokenizer.encode(text);
      expect(tokenizer.decode(ids)).toBe(text.normalize('NFC'));
      expect(ids.length === 0 ? '' : library.decode([...ids])).toBe(tokenizer.decode(ids));
    }
    for (let i = 0; i < 1000; i++) {
      const count = { length: 1 + Math.floor(random() * 10) };
      const ids = Array.from(count, () => Math.floor(random() * tokenizer.vocabSize));
      expect(library.decode(ids)).toBe(tokenizer.decode(ids));
    }
  });

  test('time grows no faster than the text, also where it is one long word', () => {
    const best = (text: string): number => {
      const times = [1, 2, 3].map(() => {
        const started = performance.now();
        tokenizer.encode(text);
        return performance.now() - started;
      });
      return Math.min(...times);
    };
    const ratio = best('a'.repeat(160_000)) / best('a'.repeat(20_000));
    // n log n would be 9.2, quadratic 64.
    expect(ratio).toBeLessThan(32);
  });
});
