import { OutOfRangeError } from '@mamba-ts/tensor';

/* Checks of plain numbers that a user passes: `where` names the constructor or function, `name` its argument. */

export function checkInteger(where: string, name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new OutOfRangeError(`${where}: ${name} is ${String(value)}, expected an integer >= ${least}`);
  }
  return value;
}

/** A finite number in [least, below); any by default. */
export function checkNumber(
  where: string,
  name: string,
  value: number,
  least: number = -Infinity,
  below: number = Infinity,
): number {
  if (!(typeof value === 'number' && Number.isFinite(value) && value >= least && value < below)) {
    const range = below < Infinity ? ` in [${least}, ${below})` : least > -Infinity ? ` >= ${least}` : '';
    throw new OutOfRangeError(`${where}: ${name} is ${String(value)}, expected a finite number${range}`);
  }
  return value;
}

export function checkPositive(where: string, name: string, value: number): number {
  if (!(typeof value === 'number' && Number.isFinite(value) && value > 0)) {
    throw new OutOfRangeError(`${where}: ${name} is ${String(value)}, expected a finite number > 0`);
  }
  return value;
}
