/** Target of a position that is not scored. */
export const ignoreIndex = -100;

/** Rows of tokens, row-major: `inputs` and `targets` are (batch, length). */
export interface TokenBatch {
  readonly inputs: Int32Array;
  /** The token to predict at each position, or `ignoreIndex` where nothing is scored. */
  readonly targets: Int32Array;
  readonly batch: number;
  readonly length: number;
}

/**
 * A task over tokens: what to show a model, and what to ask of it at which positions. Data is a function of the seed and the batch number
 * alone: any batch can be made without those before it, and a run that resumes sees what it would have seen.
 */
export interface TokenTask {
  readonly name: string;
  /** One sentence for reports. */
  readonly description: string;
  /** Inputs and targets are below this. */
  readonly vocabSize: number;
  /** Tokens per row. */
  readonly length: number;
  /** Positions per row that are scored. */
  readonly scoredPositions: number;
  readonly seed: number;
  /** Whether a token is a byte, so that the loss can be told in bits per byte. */
  readonly bytes: boolean;
  /** Training batch number `index` (from 0). */
  trainBatch(index: number, batch: number): TokenBatch;
  /** The held-out data, always the same, in batches of `batch` rows; the last is filled up with rows that are not scored. */
  validationBatches(batch: number): Iterable<TokenBatch>;
}

/** Streams of one seed. */
export const trainStream = 0;
export const validationStream = 1;

/** Batches out of a function that writes one row; rows from `count` on are left unscored. */
export function* rowsInBatches(
  count: number,
  batch: number,
  length: number,
  writeRow: (row: number, inputs: Int32Array, targets: Int32Array) => void,
): Generator<TokenBatch> {
  for (let first = 0; first < count; first += batch)
    yield fillBatch(first, Math.min(batch, count - first), batch, length, writeRow);
}

/** One batch of rows `first` to `first + rows`. */
export function fillBatch(
  first: number,
  rows: number,
  batch: number,
  length: number,
  writeRow: (row: number, inputs: Int32Array, targets: Int32Array) => void,
): TokenBatch {
  const inputs = new Int32Array(batch * length);
  const targets = new Int32Array(batch * length).fill(ignoreIndex);
  for (let r = 0; r < rows; r++) {
    writeRow(first + r, inputs.subarray(r * length, (r + 1) * length), targets.subarray(r * length, (r + 1) * length));
  }
  return { inputs, targets, batch, length };
}
