/** One `mamba-bench NAME`: a file in commands/, listed in commands/index.ts. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole help text, options included. */
  readonly usage: string;
  /**
   * Runs with what stands behind the command's name. Returns the exit code: 0, 1 for a missed bar or a failed run.
   *
   * @throws UsageError for arguments that make no sense
   */
  run(args: readonly string[]): Promise<number>;
}

/** A wrong command line: its message and the usage are shown, and the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError unless `text` is an integer from `least` to `most` */
export function integerOption(name: string, text: string, least: number, most: number = 2 ** 31 - 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name} is '${text}', expected an integer from ${least}${most < 2 ** 31 - 1 ? ` to ${most}` : ''}`);
}
