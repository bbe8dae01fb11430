import { CounterRandom } from './counter-random';
import { checkInteger } from './errors';
import { fillBatch, rowsInBatches, type TokenBatch, type TokenTask, trainStream, validationStream } from './token-task';

export interface InductionHeadsOptions {
  /** Tokens per row, the final special token included. Paper: 256 for training, 64 to 2^20 for evaluation. */
  readonly length: number;
  /** Ordinary tokens 0 … vocabSize - 2, special token vocabSize - 1. Paper: 16. */
  readonly vocabSize: number;
  readonly seed?: number;
  /** Held-out rows; default 256, as the paper's accuracies suggest. */
  readonly validationRows?: number;
}

/**
 * Induction heads (Gu and Dao, 2023, §4.1.2): once in a row of ordinary tokens comes a special token; the row ends with it again, and the model
 * has to say what followed it the first time. Scored at the last position only.
 *
 * Choices the paper leaves open: the special token is one of the vocabSize; its first place is uniform over all that leave room for an answer.
 */
export class InductionHeads implements TokenTask {
  readonly name: string = 'induction-heads';
  readonly description: string;
  readonly length: number;
  readonly vocabSize: number;
  readonly seed: number;
  readonly scoredPositions: number = 1;
  readonly bytes: boolean = false;
  private readonly validationRows: number;

  constructor({ length, vocabSize, seed = 0, validationRows = 256 }: InductionHeadsOptions) {
    this.length = checkInteger('InductionHeads', 'length', length, 3, 2 ** 24);
    this.vocabSize = checkInteger('InductionHeads', 'vocabSize', vocabSize, 2, 2 ** 24);
    this.seed = checkInteger('InductionHeads', 'seed', seed, -(2 ** 31), 2 ** 31 - 1);
    this.validationRows = checkInteger('InductionHeads', 'validationRows', validationRows, 1, 2 ** 24);
    this.description = `say what followed the special token ${vocabSize - 1} when it came first, in ${length} tokens`;
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
    const last = this.length - 1;
    for (let i = 0; i < last; i++) inputs[i] = random.below(this.vocabSize - 1);
    // Not at last - 1: its successor would be the final special token.
    const position = random.below(last - 1);
    inputs[position] = this.vocabSize - 1;
    inputs[last] = this.vocabSize - 1;
    targets[last] = inductionHeadsAnswer(inputs, this.vocabSize - 1);
  }
}

/** The token after the first `special` of a row. */
export function inductionHeadsAnswer(inputs: Int32Array, special: number): number {
  return inputs[inputs.indexOf(special) + 1];
}
