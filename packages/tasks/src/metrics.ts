import { TaskError } from './errors';
import { ignoreIndex } from './token-task';

export interface Accuracy {
  readonly correct: number;
  readonly scored: number;
  /** correct / scored, NaN when nothing is scored. */
  readonly accuracy: number;
}

/** How many scored positions hold the right token. */
export function tokenAccuracy(predictions: ArrayLike<number>, targets: ArrayLike<number>): Accuracy {
  checkLengths('tokenAccuracy', predictions, targets);
  let correct = 0;
  let scored = 0;
  for (let i = 0; i < targets.length; i++) {
    if (targets[i] === ignoreIndex) continue;
    scored++;
    if (predictions[i] === targets[i]) correct++;
  }
  return { correct, scored, accuracy: correct / scored };
}

/** How many rows of `length` tokens are right at every scored position; rows with none don't count. */
export function sequenceAccuracy(predictions: ArrayLike<number>, targets: ArrayLike<number>, length: number): Accuracy {
  checkLengths('sequenceAccuracy', predictions, targets);
  let correct = 0;
  let scored = 0;
  for (let start = 0; start < targets.length; start += length) {
    let asked = false;
    let right = true;
    for (let i = start; i < start + length; i++) {
      if (targets[i] === ignoreIndex) continue;
      asked = true;
      right &&= predictions[i] === targets[i];
    }
    if (!asked) continue;
    scored++;
    if (right) correct++;
  }
  return { correct, scored, accuracy: correct / scored };
}

/** Nats per byte, as a loss is counted, in bits per byte. */
export function bitsPerByte(natsPerByte: number): number {
  return natsPerByte / Math.LN2;
}

function checkLengths(where: string, predictions: ArrayLike<number>, targets: ArrayLike<number>): void {
  if (predictions.length !== targets.length) {
    throw new TaskError(
      `${where}: predictions has ${predictions.length} elements, expected ${targets.length} as targets`,
    );
  }
}
