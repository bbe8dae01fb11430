import { OutOfRangeError } from '@mamba-ts/tensor';

/** Refuses sizes that are no integers of at least `least`. */
export function checkSize(where: string, name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) throw new OutOfRangeError(`${where}: ${name} is ${value}, expected an integer >= ${least}`);
}

/** Refuses settings that do not exist: a misspelt one would silently leave the default. */
export function checkKeys(where: string, config: object, known: Readonly<Record<string, true>>): void {
  for (const key of Object.keys(config)) {
    if (!Object.hasOwn(known, key)) throw new OutOfRangeError(`${where}: ${key} is no setting, expected one of ${Object.keys(known).join(', ')}`);
  }
}
