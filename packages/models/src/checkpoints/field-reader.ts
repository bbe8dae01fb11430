import { OutOfRangeError } from '@mamba-ts/tensor';

/** An object of JSON. */
export type Fields = Readonly<Record<string, unknown>>;

/** Reads fields of a JSON object by type; the rest is refused by name. */
export class FieldReader {
  private readonly used = new Set<string>();

  /** @param where for messages: whose fields these are */
  constructor(
    private readonly where: string,
    private readonly fields: Fields,
  ) {}

  number(name: string, otherwise?: number): number {
    return this.field(name, otherwise, 'a number', (v): v is number => typeof v === 'number' && Number.isFinite(v));
  }

  /** A number, or null where the field is null or missing. */
  optionalNumber(name: string): number | null {
    const given = this.given(name);
    if (given !== undefined && given !== null) return this.number(name);
    this.used.add(name);
    return null;
  }

  boolean(name: string, otherwise: boolean): boolean {
    return this.field(name, otherwise, 'true or false', (v): v is boolean => typeof v === 'boolean');
  }

  oneOf<const T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    return this.field(name, otherwise, `one of ${choices.join(', ')}`, (v): v is T => choices.includes(v as T));
  }

  /** A number, or `auto`. */
  rank(name: string): number | 'auto' {
    return this.field<number | 'auto'>(
      name,
      'auto',
      'a number or auto',
      (v): v is number | 'auto' => v === 'auto' || Number.isInteger(v),
    );
  }

  /** A pair of numbers; JSON has no infinity, and writers have several names for it. */
  range(name: string, otherwise: readonly [number, number]): readonly [number, number] {
    const value = this.given(name);
    this.used.add(name);
    if (value === undefined || value === null) return otherwise;
    const ends = Array.isArray(value) ? value.map(numberOf) : [];
    if (ends.length !== 2 || ends.some(Number.isNaN))
      throw new OutOfRangeError(`${this.where}: ${name} is ${JSON.stringify(value)}, expected two numbers`);
    return [ends[0], ends[1]];
  }

  /** A list of integers >= 0; empty where the field is missing. */
  indices(name: string): readonly number[] {
    const isIndex = (v: unknown): boolean => Number.isInteger(v) && (v as number) >= 0;
    return this.field(
      name,
      [],
      'a list of integers >= 0',
      (v): v is readonly number[] => Array.isArray(v) && v.every(isIndex),
    );
  }

  object(name: string): Fields {
    return this.field(name, {}, 'an object', isFields);
  }

  /** Fields that say nothing about the model. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.used.add(name);
  }

  /** Refuses what asks for something that is not here. */
  expect(name: string, expected: unknown): void {
    this.used.add(name);
    const value = this.given(name);
    if (value !== undefined && JSON.stringify(value) !== JSON.stringify(expected)) {
      throw new OutOfRangeError(
        `${this.where}: ${name} is ${JSON.stringify(value)}, expected ${JSON.stringify(expected)}`,
      );
    }
  }

  /** Refuses fields that nothing read. */
  finish(): void {
    for (const name of Object.keys(this.fields)) {
      if (!this.used.has(name))
        throw new OutOfRangeError(`${this.where}: ${name} is no field, expected one of ${[...this.used].join(', ')}`);
    }
  }

  /** Undefined for what the object merely inherits. */
  private given(name: string): unknown {
    return Object.hasOwn(this.fields, name) ? this.fields[name] : undefined;
  }

  private field<T>(name: string, otherwise: T | undefined, expected: string, fits: (value: unknown) => value is T): T {
    this.used.add(name);
    const value = this.given(name) ?? otherwise;
    if (!fits(value))
      throw new OutOfRangeError(`${this.where}: ${name} is ${JSON.stringify(value)}, expected ${expected}`);
    return value;
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws OutOfRangeError unless `json` is an object */
export function readerOf(where: string, json: unknown): FieldReader {
  if (!isFields(json)) throw new OutOfRangeError(`${where}: config is ${JSON.stringify(json)}, expected an object`);
  return new FieldReader(where, json);
}

/** A number, or infinity as Python's writers put it; NaN for anything else. */
function numberOf(value: unknown): number {
  if (typeof value === 'number') return value;
  const name = typeof value === 'object' && value !== null ? (value as Fields)['__float__'] : value;
  if (name === 'Infinity' || name === 'inf') return Infinity;
  return NaN;
}
