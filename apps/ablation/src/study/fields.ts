import { UsageError } from '../errors';

type Fields = Record<string, unknown>;

/** A value for a message. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

export function refuse(path: string, value: unknown, expected: string): never {
  throw new UsageError(
    value === undefined
      ? `${path} is missing, expected ${expected}`
      : `${path} is ${show(value)}, expected ${expected}`,
  );
}

/** An object whose keys are all known: a misspelt setting would silently do nothing. */
export function objectAt(path: string, value: unknown, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse(path, value, `an object with ${known.join(', ')}`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw new UsageError(`${path}.${key} is no setting, expected one of ${known.join(', ')}`);
  }
  return value as Fields;
}

export function textAt(path: string, value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : refuse(path, value, 'a text');
}

export function integerAt(path: string, value: unknown, least: number, most: number = Number.MAX_SAFE_INTEGER): number {
  const fits = Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
  const range = most === Number.MAX_SAFE_INTEGER ? `an integer >= ${least}` : `an integer from ${least} to ${most}`;
  return fits ? (value as number) : refuse(path, value, range);
}

/** A number in (low, high) or, with `closed`, [low, high]. */
export function numberAt(path: string, value: unknown, low: number, high: number, closed = false): number {
  const fits = typeof value === 'number' && (closed ? value >= low && value <= high : value > low && value < high);
  const range = high === Infinity ? `a number ${closed ? '>=' : '>'} ${low}` : `a number between ${low} and ${high}`;
  return fits ? value : refuse(path, value, range);
}

export function choiceAt(path: string, value: unknown, choices: readonly string[]): string {
  return choices.includes(value as string) ? (value as string) : refuse(path, value, `one of ${choices.join(', ')}`);
}

export function listAt(path: string, value: unknown): readonly unknown[] {
  return Array.isArray(value) && value.length > 0 ? value : refuse(path, value, 'a list that is not empty');
}

/** Runs a check where a value is given. */
export function optional(
  path: string,
  fields: Fields,
  key: string,
  check: (path: string, value: unknown) => void,
): void {
  if (fields[key] !== undefined) check(`${path}.${key}`, fields[key]);
}
