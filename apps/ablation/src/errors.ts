/** The command line or the config asks for something that doesn't exist: told without a stack trace, exit code 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}
