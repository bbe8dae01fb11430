import { parseArgs, type ParseArgsConfig } from 'node:util';
import { UsageError } from './command';

type Options = NonNullable<ParseArgsConfig['options']>;

/** The options of a command line, read by kind and checked. */
export class Arguments {
  readonly positionals: readonly string[];
  private readonly values: Readonly<Record<string, unknown>>;

  /** @throws UsageError for options that don't exist, and values that are missing */
  constructor(args: readonly string[], options: Options, mostPositionals: number) {
    try {
      const parsed = parseArgs({ args: [...args], options, allowPositionals: true });
      this.values = parsed.values;
      this.positionals = parsed.positionals;
    } catch (error) {
      throw new UsageError((error as Error).message.split('. ')[0], { cause: error });
    }
    if (this.positionals.length > mostPositionals)
      throw new UsageError(`${JSON.stringify(this.positionals[mostPositionals])} is one argument too many`);
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name] as string | undefined;
    if (value === '') throw new UsageError(`--${name} has no value`);
    return value;
  }

  texts(name: string): readonly string[] {
    return (this.values[name] as string[] | undefined) ?? [];
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value !== undefined && !(choices as readonly string[]).includes(value))
      throw new UsageError(`--${name} is ${JSON.stringify(value)}, expected one of ${choices.join(', ')}`);
    return value as T | undefined;
  }

  integer(name: string, least: number, most: number = 2 ** 31 - 1): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : integerOf(`--${name}`, value, least, most);
  }

  integers(name: string, least: number): readonly number[] {
    return this.texts(name).map((value) => integerOf(`--${name}`, value, least, 2 ** 31 - 1));
  }

  number(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (value.trim() === '' || Number.isNaN(number))
      throw new UsageError(`--${name} is ${JSON.stringify(value)}, expected a number`);
    return number;
  }
}

export function integerOf(what: string, value: string, least: number, most: number): number {
  const number = /^-?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new UsageError(`${what} is ${JSON.stringify(value)}, expected an integer from ${least} to ${most}`);
}
