import { show, TokenizerError } from '../error';
import { characterOfByte, utf8Bytes } from './byte-level';
import { fieldOf, flagOf, isObject, type JsonObject, malformed, unsupported } from './json-fields';
import { checkDecoder, checkNormalizer, checkPostProcessor, checkPreTokenizer, type TextSteps } from './text-steps';

/** An entry of `added_tokens`, complete. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A tokenizer.json reduced to what was checked. Nothing else of the file reaches the code that runs it. */
export interface CheckedTokenizer extends TextSteps {
  readonly added_tokens: readonly AddedToken[];
  readonly model: {
    readonly type: 'BPE';
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [string, string])[];
    readonly unk_token: string | null;
    readonly fuse_unk: boolean;
    readonly ignore_merges: boolean;
  };
}

/** Several times the largest tokenizer.json in use (Gemma 3: 33 MB, 262,000 tokens, 514,000 merges). */
const MAX_FILE_CHARACTERS = 200_000_000;
const MAX_TOKENS = 2_000_000;
const MAX_TOKEN_LENGTH = 10_000;
const MAX_ADDED_TOKENS = 100_000;

/**
 * Checks a byte-level BPE tokenizer.json.
 *
 * @param json its text, or what `JSON.parse` made of it.
 * @param trustPatterns whether regular expressions that this package does not know may run.
 * @throws TokenizerError `malformed`, `unsupported` or `limit`.
 */
export function checkTokenizerJson(json: unknown, trustPatterns: boolean): CheckedTokenizer {
  const root = typeof json === 'string' ? parse(json) : json;
  if (!isObject(root)) throw malformed('the file', 'an object', root);
  const model = fieldOf(root, 'model');
  if (!isObject(model)) throw malformed('model', 'an object', model);
  const type = fieldOf(model, 'type') ?? 'BPE';
  if (type !== 'BPE') throw unsupported('model.type', type, '"BPE"');
  const vocab = checkVocab(fieldOf(model, 'vocab'));
  const merges = checkMerges(fieldOf(model, 'merges'), vocab);
  const unkToken = fieldOf(model, 'unk_token') ?? null;
  if (unkToken !== null && (typeof unkToken !== 'string' || !Object.hasOwn(vocab, unkToken))) {
    throw malformed('model.unk_token', 'a token of the vocabulary', unkToken);
  }
  checkModelSwitches(model);
  if (unkToken === null) {
    const lost = utf8Bytes.find((byte) => !Object.hasOwn(vocab, characterOfByte[byte]!));
    if (lost !== undefined) {
      throw new TokenizerError(
        'malformed',
        `tokenizer.json: the vocabulary has no token for byte ${lost} and no unk_token, so text would be lost`,
      );
    }
  }
  const addedTokens = checkAddedTokens(fieldOf(root, 'added_tokens') ?? [], vocab);
  const ids = new Map(Object.entries(vocab));
  for (const token of addedTokens) ids.set(token.content, token.id);
  return {
    added_tokens: addedTokens,
    normalizer: checkNormalizer(fieldOf(root, 'normalizer') ?? null),
    pre_tokenizer: checkPreTokenizer(fieldOf(root, 'pre_tokenizer') ?? null, trustPatterns),
    post_processor: checkPostProcessor(fieldOf(root, 'post_processor') ?? null, ids),
    decoder: checkDecoder(fieldOf(root, 'decoder') ?? null),
    model: {
      type: 'BPE',
      vocab,
      merges,
      unk_token: unkToken,
      fuse_unk: flagOf(model, 'fuse_unk', false, 'model'),
      ignore_merges: flagOf(model, 'ignore_merges', false, 'model'),
    },
  };
}

function parse(text: string): unknown {
  if (text.length > MAX_FILE_CHARACTERS) {
    throw new TokenizerError(
      'limit',
      `tokenizer.json has ${text.length} characters, expected at most ${MAX_FILE_CHARACTERS}`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TokenizerError('malformed', `tokenizer.json is not JSON: ${show((cause as Error).message)}`, { cause });
  }
}

function checkVocab(vocab: unknown): Record<string, number> {
  if (!isObject(vocab)) throw malformed('model.vocab', 'an object', vocab);
  const entries = Object.entries(vocab);
  if (entries.length === 0) throw malformed('model.vocab', 'at least one token', 0);
  if (entries.length > MAX_TOKENS) {
    throw new TokenizerError('limit', `model.vocab has ${entries.length} tokens, expected at most ${MAX_TOKENS}`);
  }
  const seen = new Set<number>();
  for (const [token, id] of entries) {
    checkTokenText(token, 'a token of model.vocab');
    if (!isTokenId(id)) throw malformed(`model.vocab[${show(token)}]`, `an integer below ${MAX_TOKENS}`, id);
    if (seen.has(id)) throw malformed(`model.vocab[${show(token)}]`, 'an id of its own', id);
    seen.add(id);
  }
  return vocab as Record<string, number>;
}

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_TOKENS;
}

function checkTokenText(token: unknown, what: string): asserts token is string {
  if (typeof token !== 'string' || token.length === 0 || token.length > MAX_TOKEN_LENGTH) {
    throw malformed(what, `a string of 1 to ${MAX_TOKEN_LENGTH} characters`, token);
  }
}

/** Merges are pairs, or in older files one string with a space between: no token of byte-level BPE has a space. */
function checkMerges(merges: unknown, vocab: Record<string, number>): [string, string][] {
  if (!Array.isArray(merges)) throw malformed('model.merges', 'an array', merges);
  if (merges.length > MAX_TOKENS) {
    throw new TokenizerError('limit', `model.merges has ${merges.length} entries, expected at most ${MAX_TOKENS}`);
  }
  return merges.map((merge: unknown, index): [string, string] => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ', 3) : merge;
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw malformed(`model.merges[${index}]`, 'two tokens with a space between', merge);
    }
    const [left, right] = pair as [unknown, unknown];
    if (typeof left !== 'string' || typeof right !== 'string') {
      throw malformed(`model.merges[${index}]`, 'two tokens with a space between', merge);
    }
    for (const token of [left, right, left + right]) {
      if (!Object.hasOwn(vocab, token)) throw malformed(`model.merges[${index}]`, 'tokens of the vocabulary', token);
    }
    return [left, right];
  });
}

function checkModelSwitches(model: JsonObject): void {
  const dropout = fieldOf(model, 'dropout') ?? 0;
  if (dropout !== 0) throw unsupported('model.dropout', dropout, 'null or 0 (the same ids every time)');
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    const value = fieldOf(model, key) ?? '';
    if (value !== '') throw unsupported(`model.${key}`, value, 'null');
  }
  if (flagOf(model, 'byte_fallback', false, 'model')) throw unsupported('model.byte_fallback', true, 'false');
}

function checkAddedTokens(tokens: unknown, vocab: Record<string, number>): AddedToken[] {
  if (!Array.isArray(tokens)) throw malformed('added_tokens', 'an array', tokens);
  if (tokens.length > MAX_ADDED_TOKENS) {
    const got = `added_tokens has ${tokens.length} entries`;
    throw new TokenizerError('limit', `${got}, expected at most ${MAX_ADDED_TOKENS}`);
  }
  const taken = new Map<number, string>(Object.entries(vocab).map(([token, id]) => [id, token]));
  const contents = new Set<string>();
  return tokens.map((token: unknown, index): AddedToken => {
    const where = `added_tokens[${index}]`;
    if (!isObject(token)) throw malformed(where, 'an object', token);
    const id = fieldOf(token, 'id');
    const content = fieldOf(token, 'content');
    checkTokenText(content, `${where}.content`);
    if (!isTokenId(id)) throw malformed(`${where}.id`, `an integer below ${MAX_TOKENS}`, id);
    if (contents.has(content)) throw malformed(`${where}.content`, 'a content of its own', content);
    contents.add(content);
    const inVocab = Object.hasOwn(vocab, content) ? vocab[content] : undefined;
    if (inVocab !== undefined && inVocab !== id) {
      throw malformed(`${where}.id`, `${inVocab}, the id that model.vocab gives ${show(content)}`, id);
    }
    const holder = taken.get(id);
    if (holder !== undefined && holder !== content) {
      throw malformed(`${where}.id`, `an id that ${show(holder)} does not have`, id);
    }
    taken.set(id, content);
    if (flagOf(token, 'single_word', false, where)) throw unsupported(`${where}.single_word`, true, 'false');
    const special = flagOf(token, 'special', false, where);
    return {
      id,
      content,
      single_word: false,
      lstrip: flagOf(token, 'lstrip', false, where),
      rstrip: flagOf(token, 'rstrip', false, where),
      normalized: flagOf(token, 'normalized', !special, where),
      special,
    };
  });
}
