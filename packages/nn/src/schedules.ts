import { OutOfRangeError } from '@mamba-ts/tensor';
import { checkInteger, checkNumber } from './argument';

/**
 * Factor on the peak learning rate for update number `step`, counted from 0. A pure function: a resumed run asks for
 * the step that it is at.
 */
export type Schedule = (step: number) => number;

export interface DecayOptions {
  /** Updates of linear warm-up in front of the decay, part of the total. Default 0. */
  readonly warmup?: number;
  /** Factor at the end and ever after. Default 0. */
  readonly minimum?: number;
}

export function constant(factor = 1): Schedule {
  checkNumber('schedules.constant', 'factor', factor, 0);
  return () => factor;
}

/**
 * 1/steps, 2/steps, …, 1, and 1 ever after: the first update already moves, update number steps − 1 is the first of
 * full size.
 */
export function linearWarmup(steps: number): Schedule {
  checkInteger('schedules.linearWarmup', 'steps', steps, 0);
  return (step) => (step < steps ? (step + 1) / steps : 1);
}

/** Half a cosine from 1 down to `minimum` at `totalSteps` (Loshchilov & Hutter 2017, without restarts). */
export function cosine(totalSteps: number, options: DecayOptions = {}): Schedule {
  return decay('schedules.cosine', totalSteps, options, (x) => (1 + Math.cos(Math.PI * x)) / 2);
}

/** A straight line from 1 down to `minimum` at `totalSteps`. */
export function linear(totalSteps: number, options: DecayOptions = {}): Schedule {
  return decay('schedules.linear', totalSteps, options, (x) => 1 - x);
}

/** The product of schedules, all of the same step. */
export function product(...schedules: readonly Schedule[]): Schedule {
  return (step) => schedules.reduce((factor, schedule) => factor * schedule(step), 1);
}

/** Schedules one after the other, each counting from 0: `sequence([1000, linearWarmup(1000)], cosine(9000))`. */
export function sequence(...parts: readonly [...(readonly [steps: number, schedule: Schedule])[], Schedule]): Schedule {
  const last = parts[parts.length - 1];
  const timed = parts.slice(0, -1) as readonly (readonly [number, Schedule])[];
  if (typeof last !== 'function') {
    throw new OutOfRangeError(
      'schedules.sequence: the last part has a number of steps, expected a schedule without end',
    );
  }
  for (const [steps] of timed) checkInteger('schedules.sequence', 'steps', steps, 0);
  return (step) => {
    let at = step;
    for (const [steps, schedule] of timed) {
      if (at < steps) return schedule(at);
      at -= steps;
    }
    return last(at);
  };
}

/** Warm-up, then `shape` of the progress 0 … 1 scaled into [minimum, 1]. */
function decay(where: string, totalSteps: number, options: DecayOptions, shape: (x: number) => number): Schedule {
  const { warmup = 0, minimum = 0 } = options;
  checkInteger(where, 'totalSteps', totalSteps, 1);
  checkInteger(where, 'warmup', warmup, 0);
  checkNumber(where, 'minimum', minimum, 0);
  if (warmup > totalSteps || minimum > 1) {
    const got = `warmup is ${warmup} and minimum ${minimum}`;
    throw new OutOfRangeError(`${where}: ${got}, expected warmup <= totalSteps ${totalSteps} and minimum <= 1`);
  }
  const rise = linearWarmup(warmup);
  return (step) => {
    if (step < warmup) return rise(step);
    if (step >= totalSteps) return minimum;
    return minimum + (1 - minimum) * shape((step - warmup) / (totalSteps - warmup));
  };
}
