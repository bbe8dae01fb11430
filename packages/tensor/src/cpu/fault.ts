import { OutOfRangeError } from '../errors';

/**
 * Faults: bad values that only the device sees (token ids outside a table). A kernel writes the record and goes on with a harmless value; the
 * program stops at the next barrier, before later steps (a parameter update) run, and the host throws.
 */
export const faultKinds = {
  1: 'gather: ids',
  2: 'scatterAdd: ids',
  3: 'crossEntropy: targets',
} as const;

/** Builds the error of a fault record (kind, value, flat position, exclusive limit). */
export function faultError(kind: number, value: number, position: number, limit: number): OutOfRangeError {
  const what = faultKinds[kind as keyof typeof faultKinds] ?? `fault ${kind}`;
  return new OutOfRangeError(`${what} has ${value} at flat position ${position}, expected an integer in [0, ${limit - 1}]`);
}
