import { show, TokenizerError } from '../error';
import { fieldOf, flagOf, isObject, type JsonObject, malformed, unsupported } from './json-fields';

/** The steps around the model, in the notation of tokenizer.json, checked. */
export interface TextSteps {
  readonly normalizer: JsonObject | null;
  readonly pre_tokenizer: JsonObject;
  readonly post_processor: JsonObject | null;
  readonly decoder: JsonObject;
}

/**
 * Split patterns of published byte-level tokenizers: they scan any text in linear time. A pattern that is not here may
 * backtrack without end, so it runs only where the caller trusts the file.
 */
const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  // GPT-2, GPT-NeoX
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
  // cl100k, Llama 3
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
    '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  // Qwen 2
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
    '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
]);

const NORMALIZERS: ReadonlySet<unknown> = new Set(['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase']);
const MAX_STEPS = 16;
const MAX_PATTERN = 2000;

/** The steps of a `Sequence`, or the one step itself. */
function stepsOf(step: JsonObject, listKey: string, where: string): JsonObject[] {
  if (fieldOf(step, 'type') !== 'Sequence') return [step];
  const list = fieldOf(step, listKey);
  if (!Array.isArray(list) || list.length > MAX_STEPS) {
    throw malformed(`${where}.${listKey}`, `an array of at most ${MAX_STEPS} steps`, list);
  }
  return list.map((item: unknown, index) => {
    if (!isObject(item)) throw malformed(`${where}.${listKey}[${index}]`, 'an object', item);
    return item;
  });
}

export function checkNormalizer(normalizer: unknown): JsonObject | null {
  if (normalizer === null) return null;
  if (!isObject(normalizer)) throw malformed('normalizer', 'an object or null', normalizer);
  const normalizers = stepsOf(normalizer, 'normalizers', 'normalizer').map((step) => {
    const type = fieldOf(step, 'type');
    if (!NORMALIZERS.has(type)) throw unsupported('a normalizer', type, [...NORMALIZERS].join(', '));
    return { type };
  });
  return { type: 'Sequence', normalizers };
}

/** Any number of splits, then the step that turns text into byte characters. */
export function checkPreTokenizer(preTokenizer: unknown, trustPatterns: boolean): JsonObject {
  if (!isObject(preTokenizer)) throw unsupported('pre_tokenizer', preTokenizer, 'one with a ByteLevel step');
  const steps = stepsOf(preTokenizer, 'pretokenizers', 'pre_tokenizer');
  const pretokenizers = steps.map((step, index): JsonObject => {
    const type = fieldOf(step, 'type');
    const isLast = index === steps.length - 1;
    if ((type === 'ByteLevel') !== isLast) {
      throw unsupported(`step ${index} of pre_tokenizer`, type, 'Split and Digits steps and one ByteLevel step, last');
    }
    if (type === 'ByteLevel') {
      return {
        type,
        add_prefix_space: flagOf(step, 'add_prefix_space', undefined, 'pre_tokenizer'),
        use_regex: flagOf(step, 'use_regex', true, 'pre_tokenizer'),
      };
    }
    if (type === 'Split') return checkSplit(step, trustPatterns);
    if (type === 'Digits') {
      // The library's own Digits step knows ASCII digits only.
      const each = flagOf(step, 'individual_digits', false, 'pre_tokenizer');
      return { type: 'Split', pattern: { Regex: each ? '\\p{N}' : '\\p{N}+' }, behavior: 'Isolated', invert: false };
    }
    throw unsupported(`step ${index} of pre_tokenizer`, type, 'Split, Digits or ByteLevel');
  });
  return { type: 'Sequence', pretokenizers };
}

function checkSplit(step: JsonObject, trustPatterns: boolean): JsonObject {
  const behavior = fieldOf(step, 'behavior');
  if (behavior !== 'Isolated') throw unsupported('behavior of a Split step', behavior, '"Isolated"');
  if (flagOf(step, 'invert', false, 'Split step')) throw unsupported('invert of a Split step', true, 'false');
  const pattern = fieldOf(step, 'pattern');
  if (!isObject(pattern)) throw malformed('pattern of a Split step', 'an object', pattern);
  const literal = fieldOf(pattern, 'String');
  const regex = fieldOf(pattern, 'Regex');
  const source = literal ?? regex;
  if (typeof source !== 'string' || source.length === 0 || source.length > MAX_PATTERN) {
    throw malformed('pattern of a Split step', `a String or Regex of 1 to ${MAX_PATTERN} characters`, source);
  }
  if (literal === undefined && !trustPatterns && !KNOWN_PATTERNS.has(source)) {
    throw new TokenizerError(
      'unsupported',
      `tokenizer.json: a Split step has the unknown regular expression ${show(source)}; ` +
        'pass trustPatterns to run it, if you trust where the file comes from',
    );
  }
  const checked = literal === undefined ? { Regex: source } : { String: source };
  return { type: 'Split', pattern: checked, behavior, invert: false };
}

/** ByteLevel (which changes no ids) and templates; special tokens of a template must be the vocabulary's. */
export function checkPostProcessor(processor: unknown, ids: ReadonlyMap<string, number>): JsonObject | null {
  if (processor === null) return null;
  if (!isObject(processor)) throw malformed('post_processor', 'an object or null', processor);
  const processors = stepsOf(processor, 'processors', 'post_processor').flatMap((step): JsonObject[] => {
    const type = fieldOf(step, 'type');
    if (type === 'ByteLevel') return [];
    if (type === 'TemplateProcessing') return [checkTemplate(step, ids)];
    throw unsupported('a post_processor', type, 'ByteLevel or TemplateProcessing');
  });
  if (processors.length > 1) throw unsupported('post_processor', processors, 'one TemplateProcessing');
  return processors[0] ?? null;
}

function checkTemplate(step: JsonObject, ids: ReadonlyMap<string, number>): JsonObject {
  const items = fieldOf(step, 'single');
  if (!Array.isArray(items) || items.length > MAX_STEPS) {
    throw malformed('post_processor.single', `an array of at most ${MAX_STEPS} items`, items);
  }
  const special = fieldOf(step, 'special_tokens') ?? {};
  let sequences = 0;
  const single = items.map((item: unknown): JsonObject => {
    const sequence = isObject(item) ? fieldOf(item, 'Sequence') : undefined;
    if (isObject(sequence)) {
      if (fieldOf(sequence, 'id') !== 'A') throw malformed('Sequence of post_processor.single', '"A"', sequence);
      sequences++;
      return { Sequence: { id: 'A', type_id: 0 } };
    }
    const token = isObject(item) ? fieldOf(item, 'SpecialToken') : undefined;
    const content = isObject(token) ? fieldOf(token, 'id') : undefined;
    if (typeof content !== 'string') {
      throw malformed('an item of post_processor.single', 'a Sequence or a SpecialToken', item);
    }
    const id = ids.get(content);
    if (id === undefined) throw malformed('a SpecialToken of post_processor', 'a token of the vocabulary', content);
    // The file also lists the ids to insert. They are the token's own in every real file; else two readers disagree.
    const listed = isObject(special) ? fieldOf(special, content) : undefined;
    const listedIds = isObject(listed) ? fieldOf(listed, 'ids') : undefined;
    if (!Array.isArray(listedIds) || listedIds.length !== 1 || listedIds[0] !== id) {
      throw malformed(`ids of ${show(content)} in post_processor.special_tokens`, `[${id}]`, listedIds);
    }
    return { SpecialToken: { id: content, type_id: 0 } };
  });
  if (sequences !== 1) throw malformed('Sequence items of post_processor.single', 'one', sequences);
  return { type: 'TemplateProcessing', single, pair: [] };
}

export function checkDecoder(decoder: unknown): JsonObject {
  if (!isObject(decoder)) throw unsupported('decoder', decoder, 'ByteLevel');
  const steps = stepsOf(decoder, 'decoders', 'decoder');
  const type = steps.length === 1 ? fieldOf(steps[0]!, 'type') : steps;
  if (type !== 'ByteLevel') throw unsupported('decoder', type, 'ByteLevel');
  return { type };
}
