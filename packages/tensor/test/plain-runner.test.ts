import { describe, expect, it } from 'vitest';
import { cpu } from '@mamba-ts/tensor';
import { plainRunner, testBackend } from '@mamba-ts/tensor/conformance';

describe('the runner without a framework', () => {
  it('runs a backend suite, and counts what vitest would', async () => {
    const { runner, run } = plainRunner();
    testBackend(runner, 'cpu', () => cpu({ threads: 1 }));
    const result = await run({ only: 'compiled steps' });
    expect(result.failed).toEqual([]);
    expect(result.passed).toBeGreaterThan(5);
  });

  it('runs every test in one shard of many, and opens nothing for groups without any', async () => {
    const ran: string[] = [];
    const [count, opened]: [number, string[]] = [3, []];
    for (let index = 0; index < count; index++) {
      const { runner, run } = plainRunner();
      for (const group of ['a', 'b']) {
        runner.describe(group, () => {
          runner.beforeAll(() => void opened.push(group));
          for (let i = 0; i < 2; i++) runner.it(`${group}${i}`, () => void ran.push(`${group}${i}`));
        });
      }
      await run({ shard: { index, count } });
    }
    expect(ran.sort()).toEqual(['a0', 'a1', 'b0', 'b1']);
    expect(opened).toEqual(['a', 'b', 'a', 'b']);
  });

  it('sees failures of every matcher', async () => {
    const { runner, run } = plainRunner();
    const { expect: e } = runner;
    const failing: Record<string, () => void | Promise<void>> = {
      toBe: () => e(0).toBe(-0),
      toEqual: () => e({ a: [1, Number.NaN] }).toEqual({ a: [1, 2] }),
      toBeLessThan: () => e(Number.NaN).toBeLessThan(1),
      toBeCloseTo: () => e(1).toBeCloseTo(1.1),
      toContain: () => e('abc').toContain('d'),
      not: () => e(1).not.toBe(1),
      'no error': () => e(() => 0).toThrow(),
      'another error': () => e(() => { throw new TypeError('x'); }).toThrow(RangeError),
      'no rejection': () => e(Promise.resolve()).rejects.toThrow(/x/),
      fail: () => e.fail('so'),
    };
    for (const [name, body] of Object.entries(failing)) runner.it(name, body);
    runner.it('passes', () => {
      e([1, Number.NaN]).toEqual([1, Number.NaN]);
      e(() => { throw new TypeError('a thing'); }).toThrow(/thing/);
      e(new Error('x')).not.toBe(1);
    });
    const result = await run();
    expect(result.failed.map((f) => f.name)).toEqual(Object.keys(failing));
    expect(result.passed).toBe(1);
  });
});
