import { OutOfRangeError, Turn } from '@mamba-ts/tensor';
import type { LanguageModel } from '../language-model';
import { BatchDecoder, type Logits } from './decoder';
import { checkOptions, checkPrompt, checkSeed, type CheckedOptions, type GenerationOptions } from './options';
import { type Choice, Row } from './row';
import { checkSnapshot, type GenerationSnapshot, restoreState, takeSnapshot } from './snapshot';

/** Milliseconds between two looks at the host's other events: a page that streams tokens stays alive. */
const longestTurn = 10;

export interface GenerateOptions extends GenerationOptions {
  /** int32; the same tokens for the same seed on every device, up to rounding of the logits. Default 0. */
  readonly seed?: number;
}

export interface GenerateBatchOptions extends GenerationOptions {
  /** One for each prompt, or the first prompt's, those after it counting up. Default 0. */
  readonly seed?: number | readonly number[];
}

/** A choice of one of several sequences. */
export interface BatchChoice extends Choice {
  /** Index of the prompt. */
  readonly row: number;
}

/** Tokens as they come, and what is needed to go on later. */
export interface Generation<T> extends AsyncGenerator<T, void, undefined> {
  /**
   * What was generated so far and the model's state, to go on from with `resumeGeneration`: between two tokens, or at the
   * last one.
   *
   * @throws OutOfRangeError while a token is being computed, and after the loop has ended
   */
  snapshot(): Promise<GenerationSnapshot>;
}

/**
 * Continues a prompt, token by token, as an async iterator; leave the loop to stop. The prompt is read once, each token
 * then costs one step.
 *
 *     for await (const { text } of generate(model, tokenizer.encode('Mamba is'), { tokenizer })) show(text);
 *
 * @param prompt at least one token id
 * @throws OutOfRangeError for options out of range and tokens outside the vocabulary; ShapeError for an empty prompt
 */
export function generate(
  model: LanguageModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): Generation<Choice> {
  const checked = checkOptions(model, options);
  const seed = checkSeed('seed', options.seed ?? 0);
  const ids = checkPrompt('prompt', prompt, model);
  return single(new Session(model, [new Row(ids, ids.length, seed, checked)], checked));
}

/**
 * Continues several prompts of any lengths at once: each step gives the choices of all sequences that go on. What a
 * sequence becomes does not depend on the others: it is what `generate` gives for it and its seed, up to rounding of the
 * logits.
 *
 *     for await (const choices of generateBatch(model, prompts, { tokenizer })) for (const { row, text } of choices) …
 */
export function generateBatch(
  model: LanguageModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateBatchOptions = {},
): Generation<readonly BatchChoice[]> {
  const checked = checkOptions(model, options);
  const { seed = 0 } = options;
  if (typeof seed !== 'number' && seed.length !== prompts.length)
    throw new OutOfRangeError(
      `generate: seed has ${seed.length} numbers, expected one for each of ${prompts.length} prompts`,
    );
  const rows = prompts.map((prompt, i) => {
    const ids = checkPrompt(`prompts[${i}]`, prompt, model);
    const own = typeof seed === 'number' ? (checkSeed('seed', seed) + i) | 0 : checkSeed(`seed[${i}]`, seed[i]);
    return new Row(ids, ids.length, own, checked);
  });
  return new Session(model, rows, checked);
}

/**
 * Goes on from a snapshot of `generate` as if there had been no break; options are given again, seeds are the
 * snapshot's. Sequences that ended at a stop stay ended.
 */
export function resumeGeneration(
  model: LanguageModel,
  snapshot: GenerationSnapshot,
  options: GenerationOptions = {},
): Generation<Choice> {
  const session = resumed(model, snapshot, options);
  if (snapshot.rows.length !== 1)
    throw new OutOfRangeError(`generate: snapshot has ${snapshot.rows.length} sequences: use resumeGenerationBatch`);
  return single(session);
}

/** As `resumeGeneration`, for a snapshot of `generateBatch`. */
export function resumeGenerationBatch(
  model: LanguageModel,
  snapshot: GenerationSnapshot,
  options: GenerationOptions = {},
): Generation<readonly BatchChoice[]> {
  return resumed(model, snapshot, options);
}

function resumed(model: LanguageModel, snapshot: GenerationSnapshot, options: GenerationOptions): Session {
  checkSnapshot(snapshot);
  const checked = checkOptions(model, options);
  const rows = snapshot.rows.map(({ ids, promptLength, seed, finish }, i) => {
    const known = checkPrompt(`snapshot.rows[${i}].ids`, ids, model);
    return new Row(known, promptLength, checkSeed(`snapshot.rows[${i}].seed`, seed), checked, finish);
  });
  return new Session(model, rows, checked, snapshot);
}

/** Rows that are continued together. */
class Session implements Generation<readonly BatchChoice[]> {
  private readonly decoder: BatchDecoder;
  private readonly steps: AsyncGenerator<readonly BatchChoice[], void, undefined>;
  private pending = 0;
  private ended = false;

  constructor(
    private readonly model: LanguageModel,
    private readonly rows: readonly Row[],
    private readonly options: CheckedOptions,
    private readonly from?: GenerationSnapshot,
  ) {
    this.decoder = new BatchDecoder(model);
    this.steps = this.run();
  }

  async snapshot(): Promise<GenerationSnapshot> {
    if (this.pending > 0) throw new OutOfRangeError('snapshot: a token is being computed, expected to wait for it');
    if (this.ended) throw new OutOfRangeError('snapshot: generation has ended, expected it inside of the loop');
    const state = this.decoder.state();
    // Before the first token of a resumed run, what it resumed is what there is.
    if (Object.keys(state).length === 0 && this.from) return this.from;
    return takeSnapshot(this.rows, state);
  }

  async next(): Promise<IteratorResult<readonly BatchChoice[], void>> {
    return this.tracked(this.steps.next());
  }

  async return(): Promise<IteratorResult<readonly BatchChoice[], void>> {
    this.ended = true;
    return this.tracked(this.steps.return());
  }

  async throw(error: unknown): Promise<IteratorResult<readonly BatchChoice[], void>> {
    this.ended = true;
    return this.tracked(this.steps.throw(error));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  private async tracked<T>(promise: Promise<T>): Promise<T> {
    this.pending++;
    try {
      return await promise;
    } finally {
      this.pending--;
    }
  }

  private async *run(): AsyncGenerator<readonly BatchChoice[], void, undefined> {
    const { rows, decoder, options } = this;
    const turn = new Turn(longestTurn);
    try {
      const goesOn = (): boolean => rows.some((row) => row.finish === null);
      if (options.maxNewTokens === 0 || !goesOn()) return;
      options.signal?.throwIfAborted();
      let logits = await this.begin();
      for (;;) {
        options.signal?.throwIfAborted();
        yield rows.flatMap((row, i) => (row.finish === null ? { row: i, ...row.choose(logits[i]) } : []));
        if (!goesOn()) return;
        await turn.pause();
        options.signal?.throwIfAborted();
        // Rows that have ended go along: their tokens are looked at by nobody.
        logits = await decoder.next(Int32Array.from(rows, (row) => row.last));
      }
    } finally {
      this.ended = true;
      decoder.dispose();
    }
  }

  /** Logits of every row's next token. */
  private async begin(): Promise<Logits[]> {
    const { rows, decoder, from, model } = this;
    if (!from || Object.keys(from.state).length === 0) {
      return decoder.prefill(rows.map((row) => Int32Array.from(row.ids)));
    }
    decoder.restore(restoreState(from, model.lm_head.weight.device));
    return decoder.next(Int32Array.from(rows, (row) => row.last));
  }
}

/** The only row of a session. */
function single(session: Session): Generation<Choice> {
  type Result = IteratorResult<Choice, void>;
  const unwrap = (result: IteratorResult<readonly BatchChoice[], void>): Result => {
    if (result.done) return { done: true, value: undefined };
    const { row: _row, ...choice } = result.value[0];
    return { done: false, value: choice };
  };
  const generation: Generation<Choice> = {
    snapshot: () => session.snapshot(),
    next: async () => unwrap(await session.next()),
    return: async () => unwrap(await session.return()),
    throw: async (error) => unwrap(await session.throw(error)),
    [Symbol.asyncIterator]: () => generation,
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
  return generation;
}
