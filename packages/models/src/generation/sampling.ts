import { OutOfRangeError } from '@mamba-ts/tensor';
import { keepHeaviest, keepNucleus } from './truncation';

/** How the next token is chosen. In this order: repetition penalty, temperature, topK, topP, minP, draw. */
export interface SamplingOptions {
  /** Logits are divided by it; 0, the default, takes the likeliest token. */
  readonly temperature?: number;
  /** Keep the `topK` likeliest tokens. Default: all. */
  readonly topK?: number;
  /**
   * Keep the fewest of the likeliest tokens whose probabilities add up to at least `topP` (nucleus sampling). Default
   * 1: all.
   */
  readonly topP?: number;
  /** Keep tokens at least `minP` times as likely as the likeliest. Default 0: all. */
  readonly minP?: number;
  /**
   * Logits of tokens that occurred, in the prompt too, are divided by it if positive and multiplied if negative (CTRL).
   * Default 1.
   */
  readonly repetitionPenalty?: number;
}

/** A token and ln p(token) of the model itself: before penalty, temperature and truncation. */
export interface TokenLogprob {
  readonly token: number;
  readonly logprob: number;
}

/** @throws OutOfRangeError that names the option, what was expected and what came */
export function checkSampling(options: SamplingOptions): void {
  const { temperature = 0, topK, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const refuse = (name: string, value: number, expected: string): never => {
    throw new OutOfRangeError(`generate: ${name} is ${value}, expected ${expected}`);
  };
  if (!(temperature >= 0 && Number.isFinite(temperature))) refuse('temperature', temperature, 'a number >= 0');
  if (topK !== undefined && !(Number.isInteger(topK) && topK >= 1)) refuse('topK', topK, 'an integer >= 1');
  if (!(topP > 0 && topP <= 1)) refuse('topP', topP, 'a number in (0, 1]');
  if (!(minP >= 0 && minP <= 1)) refuse('minP', minP, 'a number in [0, 1]');
  if (!(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty)))
    refuse('repetitionPenalty', repetitionPenalty, 'a number > 0');
}

/**
 * Chooses a token.
 *
 * @param logits one per token of the vocabulary, without padding
 * @param seen tokens that occurred, for the penalty
 * @param random a number in [0, 1)
 * @throws OutOfRangeError if a logit is NaN, or none is finite
 */
export function sampleToken(
  logits: ArrayLike<number>,
  options: SamplingOptions,
  seen: ReadonlySet<number>,
  random: number,
): TokenLogprob {
  const { temperature = 0, repetitionPenalty = 1 } = options;
  const likeliest = largest(logits);
  const normalizer = logSumExp(logits, logits[likeliest]);
  const chosen = (token: number): TokenLogprob => ({ token, logprob: logits[token] - normalizer });
  if (temperature === 0 && repetitionPenalty === 1) return chosen(likeliest);
  const scores = Float64Array.from(logits);
  if (repetitionPenalty !== 1) {
    for (const token of seen)
      scores[token] = scores[token] > 0 ? scores[token] / repetitionPenalty : scores[token] * repetitionPenalty;
  }
  if (temperature === 0) return chosen(largest(scores));

  const { topK, topP = 1, minP = 0 } = options;
  const best = scores[largest(scores)];
  const weights = scores.map((score) => Math.exp((score - best) / temperature));
  if (topK !== undefined) keepHeaviest(weights, topK);
  if (topP < 1) keepNucleus(weights, topP);
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] < minP) weights[i] = 0;
    total += weights[i];
  }
  let rest = random * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    rest -= weights[i];
    if (rest < 0) return chosen(i);
    last = i;
  }
  return chosen(last);
}

/** The `count` likeliest tokens, likeliest first; of equals, the smaller id. */
export function topLogprobs(logits: ArrayLike<number>, count: number): TokenLogprob[] {
  const found: TokenLogprob[] = [];
  if (count === 0) return found;
  const normalizer = logSumExp(logits, logits[largest(logits)]);
  for (let token = 0; token < logits.length; token++) {
    const logprob = logits[token] - normalizer;
    if (found.length === count && logprob <= found[count - 1].logprob) continue;
    const at = found.findIndex((other) => logprob > other.logprob);
    found.splice(at < 0 ? found.length : at, 0, { token, logprob });
    if (found.length > count) found.pop();
  }
  return found;
}

// Plain loops: these two run over the whole vocabulary for every token.

/** Position of the largest, the first of equals. @throws OutOfRangeError if one is NaN */
function largest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i];
    if (score > scores[best]) best = i;
    else if (Number.isNaN(score)) throw new OutOfRangeError(`generate: the model's logit of token ${i} is NaN`);
  }
  if (!Number.isFinite(scores[best]))
    throw new OutOfRangeError(`generate: the model's largest logit is ${scores[best]}, expected a finite one`);
  return best;
}

function logSumExp(x: ArrayLike<number>, top: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += Math.exp(x[i] - top);
  return top + Math.log(sum);
}
