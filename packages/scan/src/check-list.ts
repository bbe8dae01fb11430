// Checks as a list, for programs that run them where no test runner is.

/** What the suites need of a test runner; vitest, jest and mocha have it under these names. */
export interface TestHooks {
  describe(name: string, body: () => void): void;
  it: {
    (name: string, body: () => void | Promise<void>): void;
    skip(name: string, body: () => void | Promise<void>): void;
  };
}

/** A check that throws where something is wrong. */
export interface Check {
  readonly name: string;
  readonly body: () => void | Promise<void>;
}

/** What `register` registers, in order, each named after the groups it is in. Throws an Error where it skips something. */
export function listChecks(register: (hooks: TestHooks) => void): Check[] {
  const checks: Check[] = [];
  const groups: string[] = [];
  const it = Object.assign(
    (name: string, body: Check['body']): void => void checks.push({ name: [...groups, name].join(': '), body }),
    {
      skip: (name: string): void => {
        throw new Error(`nothing is left out, but ${name} was`);
      },
    },
  );
  const describe = (name: string, body: () => void): void => {
    groups.push(name);
    body();
    groups.pop();
  };
  register({ describe, it });
  return checks;
}

/**
 * Runs checks, `atOnce` (default 1) side by side, prints the first 40 failures and a count of all, and returns how many
 * failed.
 */
export async function runChecks(
  checks: readonly Check[],
  print: (line: string) => void,
  { atOnce = 1 }: { readonly atOnce?: number } = {},
): Promise<number> {
  let failed = 0;
  let next = 0;
  const start = performance.now();
  const worker = async (): Promise<void> => {
    while (next < checks.length) {
      const { name, body } = checks[next++];
      try {
        await body();
      } catch (error) {
        failed++;
        const message = error instanceof Error ? error.message : String(error);
        if (failed <= 40) print(`FAILED ${name}\n       ${message.slice(0, 600)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  print(`${checks.length - failed} of ${checks.length} checks passed in ${seconds} s`);
  return failed;
}
