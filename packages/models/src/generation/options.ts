import { checkKeys, checkSize } from '@mamba-ts/ssm';
import { OutOfRangeError, ShapeError } from '@mamba-ts/tensor';
import type { LanguageModel } from '../language-model';
import { checkSampling, type SamplingOptions } from './sampling';

/** What generation needs of a tokenizer; those of @mamba-ts/tokenizers have it. */
export interface TokenText {
  /** The bytes of one token. */
  tokenBytes(id: number): Uint8Array;
  /** Tokens below it exist: the model's further ones are not generated. */
  readonly vocabSize?: number;
  /** Tokens that stand for no text. */
  isSpecial?(id: number): boolean;
}

/** What goes for one sequence and for many. */
export interface GenerationOptions extends SamplingOptions {
  /** Of each sequence, or, resumed, from there on. Default 128. */
  readonly maxNewTokens?: number;
  /** Generation ends after one of these, which is still given. */
  readonly stopTokens?: readonly number[];
  /** Generation ends where the new text holds one of these; needs `tokenizer`. */
  readonly stopStrings?: readonly string[];
  /** Makes every choice carry `text`. */
  readonly tokenizer?: TokenText;
  /** Every choice names this many of the likeliest tokens. Default 0. */
  readonly logprobs?: number;
  /** Tokens from here on are never generated. Default: the model's vocabSize, or the tokenizer's if that is smaller. */
  readonly vocabSize?: number;
  /** Ends generation before the next token: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

const settings: Readonly<Record<keyof GenerationOptions | 'seed', true>> = {
  maxNewTokens: true,
  seed: true,
  stopTokens: true,
  stopStrings: true,
  tokenizer: true,
  logprobs: true,
  vocabSize: true,
  signal: true,
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
};

/** Options with their defaults. */
export interface CheckedOptions {
  readonly sampling: SamplingOptions;
  readonly maxNewTokens: number;
  readonly stopTokens: ReadonlySet<number>;
  readonly stopStrings: readonly string[];
  readonly tokenizer: TokenText | undefined;
  readonly logprobs: number;
  readonly vocabSize: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws OutOfRangeError that names the option, what was expected and what came */
export function checkOptions(model: LanguageModel, options: GenerationOptions): CheckedOptions {
  checkKeys('generate', options, settings);
  checkSampling(options);
  const { maxNewTokens = 128, stopTokens = [], stopStrings = [], tokenizer, logprobs = 0, signal } = options;
  checkSize('generate', 'maxNewTokens', maxNewTokens, 0);
  checkSize('generate', 'logprobs', logprobs, 0);
  const vocabSize = options.vocabSize ?? Math.min(model.vocabSize, tokenizer?.vocabSize ?? model.vocabSize);
  if (!(Number.isInteger(vocabSize) && vocabSize >= 1 && vocabSize <= model.vocabSize))
    throw new OutOfRangeError(`generate: vocabSize is ${vocabSize}, expected an integer in [1, ${model.vocabSize}]`);
  stopTokens.forEach((id, i) => checkToken(`stopTokens[${i}]`, id, model.vocabSize));
  stopStrings.forEach((text, i) => {
    if (typeof text !== 'string' || text === '')
      throw new OutOfRangeError(`generate: stopStrings[${i}] is ${JSON.stringify(text)}, expected a text, not empty`);
  });
  if (stopStrings.length > 0 && !tokenizer)
    throw new OutOfRangeError('generate: stopStrings is given without tokenizer, expected both');
  return {
    ...{ sampling: options, maxNewTokens, stopTokens: new Set(stopTokens), stopStrings },
    ...{ tokenizer, logprobs, vocabSize, signal },
  };
}

/** @throws ShapeError for an empty prompt, OutOfRangeError for a token outside the vocabulary */
export function checkPrompt(name: string, prompt: ArrayLike<number>, model: LanguageModel): Int32Array {
  if (prompt.length === 0) throw new ShapeError(`generate: ${name} is empty, expected at least one token`);
  for (let i = 0; i < prompt.length; i++) checkToken(`${name}[${i}]`, prompt[i], model.vocabSize);
  return Int32Array.from(prompt);
}

export function checkSeed(name: string, seed: number): number {
  if ((seed | 0) !== seed) throw new OutOfRangeError(`generate: ${name} is ${seed}, expected an int32`);
  return seed;
}

function checkToken(name: string, id: number, vocabSize: number): void {
  if (!(Number.isInteger(id) && id >= 0 && id < vocabSize))
    throw new OutOfRangeError(`generate: ${name} is ${id}, expected a token in [0, ${vocabSize})`);
}
