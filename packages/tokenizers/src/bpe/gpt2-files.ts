import { show, TokenizerError } from '../error';
import { type BpeOptions, BpeTokenizer } from './bpe-tokenizer';
import { isObject } from './json-fields';

export interface Gpt2Options extends BpeOptions {
  /** Contents of the vocabulary's special tokens. Default: `<|endoftext|>` if the vocabulary has it. */
  readonly specialTokens?: readonly string[];
}

/**
 * Byte-level BPE from the two files of GPT-2: `vocab.json`, tokens to ids, and `merges.txt`, one pair a line in the order of their rank. GPT-3's,
 * RoBERTa's and OPT's tokens come so too.
 *
 * @param vocab the text of vocab.json, or the value parsed from it
 * @param merges the text of merges.txt; a first line `#version: …` is skipped
 * @throws TokenizerError as `BpeTokenizer`
 */
export function gpt2Tokenizer(vocab: unknown, merges: string, options: Gpt2Options = {}): BpeTokenizer {
  const table = typeof vocab === 'string' ? parseVocab(vocab) : vocab;
  if (typeof merges !== 'string') throw new TokenizerError('invalid-argument', `merges is ${show(merges)}, expected the text of merges.txt`);
  const lines = merges.split(/\r?\n/);
  const first = lines[0]!.startsWith('#version') ? 1 : 0;
  const end = lines.at(-1) === '' ? lines.length - 1 : lines.length;
  const has = (token: string): boolean => isObject(table) && Object.hasOwn(table, token);
  const special = options.specialTokens ?? ['<|endoftext|>'].filter(has);
  for (const token of special) {
    if (!has(token)) throw new TokenizerError('invalid-argument', `specialTokens has ${show(token)}, which is not in the vocabulary`);
  }
  const json = {
    model: { type: 'BPE', vocab: table, merges: lines.slice(first, end) },
    added_tokens: special.map((content) => ({ content, id: (table as Readonly<Record<string, unknown>>)[content], special: true })),
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    decoder: { type: 'ByteLevel' },
  };
  return new BpeTokenizer(json, options);
}

function parseVocab(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TokenizerError('malformed', `vocab.json is not JSON: ${show((cause as Error).message)}`, { cause });
  }
}
