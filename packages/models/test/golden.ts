import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface GoldenCase {
  readonly tol_rel: number;
  // Each case has a form of its own.
  readonly inputs: any;
  readonly outputs: any;
}

const file = new URL('../../../../shared/fixtures/golden/golden.json', import.meta.url);
const cases: Record<string, GoldenCase> | null = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).cases : null;

/** A test on one golden case; skipped, by name, where the fixtures are not there. */
export function golden(name: string, title: string, body: (golden: GoldenCase) => void | Promise<void>): void {
  if (!cases) {
    console.log(`skipped: golden case ${name} (${title}): no shared/fixtures beside the repository`);
    it.skip(`${name}: ${title}`, () => undefined);
    return;
  }
  it(`${name}: ${title}`, () => body(cases[name]));
}

/** Nested numbers, compared to `tolerance` of the largest expected one. */
export function expectNumbers(actual: ArrayLike<number>, expected: unknown, tolerance: number): void {
  const flat = (expected as number[]).flat(9) as number[];
  expect(actual.length).toBe(flat.length);
  const size = Math.max(...flat.map(Math.abs));
  flat.forEach((e, i) => expect(Math.abs(actual[i] - e) / size, `value ${i}: ${actual[i]}, expected ${e}`).toBeLessThanOrEqual(tolerance));
}
