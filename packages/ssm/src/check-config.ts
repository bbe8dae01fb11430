import { OutOfRangeError } from '@mamba-ts/tensor';

/** Refuses sizes that are no integers of at least `least` and, where the config may come from a stranger's file, at most `most`. */
export function checkSize(layer: string, name: string, value: number, least = 1, most: number = Infinity): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const upTo = most === Infinity ? '' : ` and <= ${most}`;
  throw new OutOfRangeError(`${layer}: ${name} is ${value}, expected an integer >= ${least}${upTo}`);
}

export function checkPositive(layer: string, name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value)))
    throw new OutOfRangeError(`${layer}: ${name} is ${value}, expected a number > 0`);
}

/** Refuses strings (from a config file, say) that name nothing. */
export function checkChoice(layer: string, name: string, value: string, choices: readonly string[]): void {
  if (!choices.includes(value))
    throw new OutOfRangeError(`${layer}: ${name} is ${JSON.stringify(value)}, expected one of ${choices.join(', ')}`);
}

export function checkTimeSteps(layer: string, dtMin: number, dtMax: number): void {
  checkPositive(layer, 'dtMin', dtMin);
  if (!(dtMax >= dtMin && Number.isFinite(dtMax)))
    throw new OutOfRangeError(`${layer}: dtMax is ${dtMax}, expected a number >= dtMin (${dtMin})`);
}

/** Refuses settings that do not exist: a misspelt one would silently leave the default. */
export function checkKeys(layer: string, config: object, known: Readonly<Record<string, true>>): void {
  for (const key of Object.keys(config)) {
    if (!Object.hasOwn(known, key))
      throw new OutOfRangeError(`${layer}: ${key} is no setting, expected one of ${Object.keys(known).join(', ')}`);
  }
}
