import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';

/** One closed-form case: its inputs and outputs have forms of their own, which the caller names. */
export interface GoldenCase<Inputs, Outputs> {
  readonly tol_rel: number;
  readonly inputs: Inputs;
  readonly outputs: Outputs;
}

const file = new URL('../../../../shared/fixtures/golden/golden.json', import.meta.url);
const cases: Record<string, GoldenCase<unknown, unknown>> | null = existsSync(file)
  ? JSON.parse(readFileSync(file, 'utf8')).cases
  : null;

/** For `it.skipIf`: are the fixtures not there? Then prints what is left out. */
export function missing(name: string): boolean {
  if (cases) return false;
  console.log(`skipped: golden case ${name}: no shared/fixtures beside the repository`);
  return true;
}

export function golden<Inputs, Outputs>(name: string): GoldenCase<Inputs, Outputs> {
  if (!cases?.[name]) throw new Error(`no golden case ${name}`);
  return cases[name] as GoldenCase<Inputs, Outputs>;
}

/** Numbers of nested arrays. */
export type Nested = number | readonly Nested[];

/** Compares flat numbers with nested ones, to `tolerance` of the largest expected. */
export function expectNumbers(actual: ArrayLike<number>, expected: Nested, tolerance: number): void {
  const flat = [expected].flat(9) as number[];
  expect(actual.length).toBe(flat.length);
  const size = Math.max(...flat.map(Math.abs));
  flat.forEach((e, i) =>
    expect(Math.abs(actual[i] - e) / size, `value ${i}: ${actual[i]}, expected ${e}`).toBeLessThanOrEqual(tolerance),
  );
}
