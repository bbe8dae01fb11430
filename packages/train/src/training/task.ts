/** Rows of tokens, row-major: `inputs` and `targets` are (batch, length). */
export interface TrainingBatch {
  readonly inputs: Int32Array;
  /** The token to predict at each position; −100 where nothing is scored. */
  readonly targets: Int32Array;
}

/**
 * What a trainer needs of a task; those of `@mamba-ts/tasks` have it, and so does any object of this shape. Training data depends on the batch
 * number alone, so that a run that resumes sees what it would have seen.
 */
export interface TrainingTask {
  readonly name: string;
  /** Tokens per row. */
  readonly length: number;
  /** Training batch number `index`, from 0. */
  trainBatch(index: number, batch: number): TrainingBatch;
  /** The held-out data in batches of `batch` rows, always the same; missing rows are not scored. */
  validationBatches(batch: number): Iterable<TrainingBatch>;
}

/** Target of a position that is not scored. */
export const ignoreIndex = -100;
