import type { Logits } from './decoder';
import type { CheckedOptions } from './options';
import { sampleToken, type TokenLogprob, topLogprobs } from './sampling';
import { StopText } from './stop-text';
import { uniform } from './threefry';

/** Why a sequence ended: `maxNewTokens`, one of `stopTokens`, one of `stopStrings`. */
export type FinishReason = 'length' | 'stopToken' | 'stopString';

/** A token that was generated. */
export interface Choice extends TokenLogprob {
  /** With `tokenizer`: text that is sure by now. It may lag behind the tokens; that of the last one is all of the rest. */
  readonly text?: string;
  /** With `logprobs`: the likeliest tokens, likeliest first. */
  readonly top?: readonly TokenLogprob[];
  /** Of the last token. */
  readonly finish?: FinishReason;
}

const noBytes = new Uint8Array(0);

/** One sequence: its tokens so far, and how the next is chosen. */
export class Row {
  readonly ids: number[];
  finish: FinishReason | null;
  private readonly seen: Set<number>;
  private readonly text: StopText | null;
  /** Tokens of this run: a resumed one counts anew. */
  private count = 0;

  /**
   * @param ids the prompt, and what an earlier run generated
   * @param finish why that run ended the row: a limit of tokens is no reason not to go on
   */
  constructor(
    ids: ArrayLike<number>,
    readonly promptLength: number,
    readonly seed: number,
    private readonly options: CheckedOptions,
    finish: FinishReason | null = null,
  ) {
    this.ids = Array.from(ids);
    this.seen = new Set(this.ids);
    this.finish = finish === 'length' ? null : finish;
    this.text = options.tokenizer ? new StopText(options.stopStrings) : null;
    // What an earlier run held back comes with the next token; where it ended at its limit, it gave all.
    for (let i = promptLength; i < this.ids.length; i++) {
      this.text?.push(this.bytesOf(this.ids[i]), finish === 'length' && i === this.ids.length - 1);
    }
  }

  get last(): number {
    return this.ids[this.ids.length - 1];
  }

  /** Takes the next token. @param logits of the model's vocabulary */
  choose(logits: Logits): Choice {
    const { sampling, vocabSize, logprobs, stopTokens, maxNewTokens } = this.options;
    const real = logits.subarray(0, vocabSize);
    // Draws are counted by tokens, so that a resumed run goes on with the next.
    const draw = uniform(this.seed, this.ids.length - this.promptLength);
    const chosen = sampleToken(real, sampling, this.seen, draw);
    this.ids.push(chosen.token);
    this.seen.add(chosen.token);
    this.count++;
    if (stopTokens.has(chosen.token)) this.finish = 'stopToken';
    else if (this.count === maxNewTokens) this.finish = 'length';
    const text = this.text?.push(this.bytesOf(chosen.token), this.finish !== null);
    if (text?.stopped) this.finish = 'stopString';
    return {
      ...chosen,
      ...(text && { text: text.text }),
      ...(logprobs > 0 && { top: topLogprobs(real, logprobs) }),
      ...(this.finish && { finish: this.finish }),
    };
  }

  private bytesOf(id: number): Uint8Array {
    const { tokenizer, stopTokens } = this.options;
    if (!tokenizer || stopTokens.has(id) || tokenizer.isSpecial?.(id)) return noBytes;
    return tokenizer.tokenBytes(id);
  }
}
