import { CounterRandom } from './counter-random';
import { checkInteger, TaskError } from './errors';
import { fillBatch, rowsInBatches, type TokenBatch, type TokenTask, trainStream } from './token-task';

export interface TextWindowsOptions {
  /** The text; split once, the end is held out. */
  readonly bytes: Uint8Array;
  /** Bytes that a model sees in a row. */
  readonly length: number;
  /** Share of the text that is held out; default 0.1. */
  readonly validationFraction?: number;
  /** Only the first so many held-out bytes are scored; default all. */
  readonly validationBytes?: number;
  readonly seed?: number;
}

/**
 * Next-byte prediction. Training windows start anywhere in the training part; validation windows cover the held-out part once, side by side,
 * so that every byte of it but the first is predicted exactly once, from the bytes before it in its window.
 */
export class TextWindows implements TokenTask {
  readonly name: string = 'text';
  readonly description: string;
  readonly vocabSize: number = 256;
  readonly length: number;
  readonly scoredPositions: number;
  readonly seed: number;
  readonly bytes: boolean = true;
  /** The part that training windows come from. */
  readonly trainPart: Uint8Array;
  /** The held-out part that is scored. */
  readonly validationPart: Uint8Array;

  constructor({ bytes, length, validationFraction = 0.1, validationBytes = Infinity, seed = 0 }: TextWindowsOptions) {
    this.length = checkInteger('TextWindows', 'length', length, 1, 2 ** 24);
    this.seed = checkInteger('TextWindows', 'seed', seed, -(2 ** 31), 2 ** 31 - 1);
    if (!(validationFraction > 0 && validationFraction < 1)) {
      throw new TaskError(
        `TextWindows: validationFraction is ${validationFraction}, expected a number between 0 and 1`,
      );
    }
    if (!(validationBytes >= 2))
      throw new TaskError(`TextWindows: validationBytes is ${validationBytes}, expected at least 2`);
    const split = Math.floor(bytes.length * (1 - validationFraction));
    this.trainPart = bytes.subarray(0, split);
    this.validationPart = bytes.subarray(split, Math.min(bytes.length, split + validationBytes));
    if (this.trainPart.length <= length || this.validationPart.length < 2) {
      throw new TaskError(
        `TextWindows: bytes has ${bytes.length} elements, of which ${this.trainPart.length} are for training: too few for length ${length} (needs ${length + 1})`,
      );
    }
    this.scoredPositions = length;
    this.description = `predict the next byte of a text of ${bytes.length.toLocaleString('en-US')} bytes, from at most ${length} before it`;
  }

  trainBatch(index: number, batch: number): TokenBatch {
    checkInteger('trainBatch', 'index', index, 0);
    checkInteger('trainBatch', 'batch', batch, 1);
    return fillBatch(index * batch, batch, batch, this.length, (row, inputs, targets) => {
      const start = new CounterRandom(this.seed, trainStream, row).below(this.trainPart.length - this.length);
      inputs.set(this.trainPart.subarray(start, start + this.length));
      targets.set(this.trainPart.subarray(start + 1, start + 1 + this.length));
    });
  }

  validationBatches(batch: number): Iterable<TokenBatch> {
    checkInteger('validationBatches', 'batch', batch, 1);
    const text = this.validationPart;
    const windows = Math.ceil((text.length - 1) / this.length);
    return rowsInBatches(windows, batch, this.length, (row, inputs, targets) => {
      const start = row * this.length;
      const end = Math.min(start + this.length, text.length - 1);
      inputs.set(text.subarray(start, end));
      targets.set(text.subarray(start + 1, end + 1));
    });
  }
}
