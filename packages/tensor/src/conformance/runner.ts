import type * as vitest from 'vitest';

/** What the suites need of a test runner: vitest's own functions, handed in so that importing the suites loads no test runner. */
export type TestRunner = Pick<typeof vitest, 'describe' | 'it' | 'expect' | 'beforeAll' | 'afterAll'>;

export let describe: TestRunner['describe'];
export let it: TestRunner['it'];
export let expect: TestRunner['expect'];
export let beforeAll: TestRunner['beforeAll'];
export let afterAll: TestRunner['afterAll'];

/** Called by a suite before anything else. */
export function useRunner(runner: TestRunner): void {
  ({ describe, it, expect, beforeAll, afterAll } = runner);
}
