import { CounterRandom } from './counter-random';
import { checkInteger, TaskError } from './errors';
import { fillBatch, rowsInBatches, type TokenBatch, type TokenTask, trainStream, validationStream } from './token-task';

export interface SelectiveCopyingOptions {
  /** Slots in which the data tokens lie among noise. Paper: 4096. */
  readonly contextLength: number;
  /** Tokens to remember. Paper: 16. */
  readonly dataTokens: number;
  /** Noise token 0, data tokens 1 … vocabSize - 2, marker vocabSize - 1. Paper: 16. */
  readonly vocabSize: number;
  readonly seed?: number;
  /** Held-out rows; default 256. */
  readonly validationRows?: number;
}

/**
 * Selective copying (Gu and Dao, 2023, §4.1.1): data tokens lie at random places among noise, then come as many markers, at which the model has
 * to say the data tokens in order. It needs a layer that decides by content what to keep: with fixed time constants, when a token arrived and
 * what it was cannot be told apart.
 *
 * The paper's generator was not published; this is the "copying" data set of the S4 repository with variable places.
 */
export class SelectiveCopying implements TokenTask {
  readonly name: string = 'selective-copying';
  readonly description: string;
  readonly contextLength: number;
  readonly dataTokens: number;
  readonly vocabSize: number;
  readonly seed: number;
  readonly length: number;
  readonly scoredPositions: number;
  readonly bytes: boolean = false;
  private readonly validationRows: number;

  constructor({ contextLength, dataTokens, vocabSize, seed = 0, validationRows = 256 }: SelectiveCopyingOptions) {
    this.contextLength = checkInteger('SelectiveCopying', 'contextLength', contextLength, 1, 2 ** 24);
    this.dataTokens = checkInteger('SelectiveCopying', 'dataTokens', dataTokens, 1, contextLength);
    this.vocabSize = checkInteger('SelectiveCopying', 'vocabSize', vocabSize, 3, 2 ** 24);
    this.seed = checkInteger('SelectiveCopying', 'seed', seed, -(2 ** 31), 2 ** 31 - 1);
    this.validationRows = checkInteger('SelectiveCopying', 'validationRows', validationRows, 1, 2 ** 24);
    this.length = contextLength + dataTokens;
    this.scoredPositions = dataTokens;
    this.description = `repeat, in order, ${dataTokens} tokens that lie at random places in a context of ${contextLength}; vocabulary ${vocabSize}`;
  }

  trainBatch(index: number, batch: number): TokenBatch {
    checkInteger('trainBatch', 'index', index, 0);
    checkInteger('trainBatch', 'batch', batch, 1);
    return fillBatch(index * batch, batch, batch, this.length, (row, inputs, targets) =>
      this.write(trainStream, row, inputs, targets),
    );
  }

  validationBatches(batch: number): Iterable<TokenBatch> {
    checkInteger('validationBatches', 'batch', batch, 1);
    return rowsInBatches(this.validationRows, batch, this.length, (row, inputs, targets) =>
      this.write(validationStream, row, inputs, targets),
    );
  }

  private write(stream: number, row: number, inputs: Int32Array, targets: Int32Array): void {
    const random = new CounterRandom(this.seed, stream, row);
    const tokens = Array.from({ length: this.dataTokens }, () => 1 + random.below(this.vocabSize - 2));
    const positions = choosePositions(random, this.contextLength, this.dataTokens);
    writeSelectiveCopying(tokens, positions, this.vocabSize, inputs, targets);
  }
}

/**
 * Lays out one row: `tokens` (each from 1 to vocabSize - 2) at the ascending `positions` of the context, noise 0 elsewhere, then one marker
 * per token. `inputs` and `targets` have contextLength + tokens.length elements; of `targets` only the last tokens.length are written.
 */
export function writeSelectiveCopying(
  tokens: ArrayLike<number>,
  positions: ArrayLike<number>,
  vocabSize: number,
  inputs: Int32Array,
  targets: Int32Array,
): void {
  const count = tokens.length;
  const contextLength = inputs.length - count;
  if (positions.length !== count)
    throw new TaskError(
      `writeSelectiveCopying: positions has ${positions.length} elements, expected ${count}, one per token`,
    );
  if (targets.length !== inputs.length)
    throw new TaskError(
      `writeSelectiveCopying: targets has ${targets.length} elements, expected ${inputs.length} as inputs`,
    );
  for (let i = 0; i < count; i++) {
    checkInteger('writeSelectiveCopying', `tokens[${i}]`, tokens[i], 1, vocabSize - 2);
    checkInteger(
      'writeSelectiveCopying',
      `positions[${i}]`,
      positions[i],
      i === 0 ? 0 : positions[i - 1] + 1,
      contextLength - 1,
    );
  }
  inputs.fill(0);
  for (let i = 0; i < count; i++) {
    inputs[positions[i]] = tokens[i];
    inputs[contextLength + i] = vocabSize - 1;
    targets[contextLength + i] = tokens[i];
  }
}

/** `count` distinct positions below `slots`, ascending: every subset is as likely (Floyd's algorithm). */
function choosePositions(random: CounterRandom, slots: number, count: number): number[] {
  const chosen = new Set<number>();
  for (let last = slots - count; last < slots; last++) {
    const position = random.below(last + 1);
    chosen.add(chosen.has(position) ? last : position);
  }
  return [...chosen].sort((a, b) => a - b);
}
