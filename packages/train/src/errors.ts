import { TensorError } from '@mamba-ts/tensor';

/** An argument of the training loop or of a report is wrong; the message names it, what was expected and what came. */
export class TrainingError extends TensorError {
  override name = 'TrainingError';
}

/** The loss is no longer a finite number: further steps would only spread it. */
export class DivergedError extends TrainingError {
  override name = 'DivergedError';

  constructor(
    /** The step whose loss it was, from 1. */
    readonly step: number,
    readonly loss: number,
  ) {
    super(`the loss is ${loss} at step ${step}: try a smaller learning rate, a longer warm-up or gradient clipping`);
  }
}

/** Refuses anything but an integer of at least `least`. */
export function checkInteger(where: string, name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value;
  throw new TrainingError(`${where}: ${name} is ${String(value)}, expected an integer >= ${least}`);
}
