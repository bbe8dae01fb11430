import { checkKeys, checkSize } from '@mamba-ts/ssm';
import { OutOfRangeError, ShapeError } from '@mamba-ts/tensor';
import { Decoder } from './decoder';
import type { LanguageModel } from './language-model';
import { checkSampling, type Choice, sampleToken, type SamplingOptions } from './sampling';
import { uniform } from './threefry';

export interface GenerateOptions extends SamplingOptions {
  /** Default 128. */
  readonly maxNewTokens?: number;
  /** int32; the same tokens for the same seed on every device, up to rounding of the logits. Default 0. */
  readonly seed?: number;
  /** Generation ends after one of these, which is still given. */
  readonly stopTokens?: readonly number[];
  /** Ends generation before the next token: the iterator throws the signal's reason. */
  readonly signal?: AbortSignal;
}

const settings: Readonly<Record<keyof GenerateOptions, true>> = {
  maxNewTokens: true,
  seed: true,
  stopTokens: true,
  signal: true,
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repetitionPenalty: true,
};

/**
 * Continues a prompt, token by token, as an async iterator; leave the loop to stop. The prompt is read once, each token
 * then costs one step.
 *
 *     for await (const { token } of generate(model, tokenizer.encode('Mamba is'), { maxNewTokens: 20 })) show(token);
 *
 * @param prompt at least one token id
 * @throws OutOfRangeError for options out of range and tokens outside the vocabulary; ShapeError for an empty prompt
 */
export function generate(
  model: LanguageModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): AsyncGenerator<Choice, void, undefined> {
  checkKeys('generate', options, settings);
  checkSampling(options);
  const { maxNewTokens = 128, seed = 0, stopTokens = [] } = options;
  checkSize('generate', 'maxNewTokens', maxNewTokens, 0);
  if ((seed | 0) !== seed) throw new OutOfRangeError(`generate: seed is ${seed}, expected an int32`);
  if (prompt.length === 0) throw new ShapeError('generate: prompt is empty, expected at least one token');
  const checkToken = (name: string, id: number): void => {
    if (!(Number.isInteger(id) && id >= 0 && id < model.vocabSize)) {
      throw new OutOfRangeError(`generate: ${name} is ${id}, expected a token in [0, ${model.vocabSize})`);
    }
  };
  const ids = Array.from(prompt);
  ids.forEach((id, i) => checkToken(`prompt[${i}]`, id));
  stopTokens.forEach((id, i) => checkToken(`stopTokens[${i}]`, id));
  return run(model, Int32Array.from(ids), options, maxNewTokens, seed, new Set(stopTokens));
}

async function* run(
  model: LanguageModel,
  prompt: Int32Array,
  options: GenerateOptions,
  maxNewTokens: number,
  seed: number,
  stop: ReadonlySet<number>,
): AsyncGenerator<Choice, void, undefined> {
  if (maxNewTokens === 0) return;
  options.signal?.throwIfAborted();
  const decoder = new Decoder(model);
  try {
    const seen = new Set(prompt);
    let logits = await decoder.prefill(prompt);
    for (let count = 0; ;) {
      options.signal?.throwIfAborted();
      const choice = sampleToken(logits, options, seen, uniform(seed, count));
      yield choice;
      count++;
      if (count === maxNewTokens || stop.has(choice.token)) return;
      options.signal?.throwIfAborted();
      seen.add(choice.token);
      logits = await decoder.next(choice.token);
    }
  } finally {
    decoder.dispose();
  }
}
