import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { help, readCommandLine } from '../src/command-line';
import { UsageError } from '../src/errors';

const base = resolve('/somewhere');
const read = (...args: string[]): ReturnType<typeof readCommandLine> => readCommandLine(args, base);

describe('command line', () => {
  test('nothing: the study as it is, on the cpu', () => {
    expect(read()).toMatchObject({
      help: false,
      config: undefined,
      steps: undefined,
      seed: undefined,
      device: 'cpu',
      out: undefined,
    });
    expect(read().threads).toBeGreaterThan(0);
  });

  test('all options; paths from where the command was typed', () => {
    const options = read('--', '--config', 'my.mjs', '--steps=5', '--seed', '7', '--threads', '2', '--out', '../r');
    expect(options).toEqual({
      help: false,
      config: resolve(base, 'my.mjs'),
      steps: 5,
      seed: 7,
      device: 'cpu',
      threads: 2,
      out: resolve('/r'),
    });
    expect(read('--device', 'reference')).toMatchObject({ device: 'reference', threads: undefined });
    expect(read('-h').help).toBe(true);
  });

  test('every option is explained', () => {
    for (const name of ['config', 'steps', 'seed', 'device', 'threads', 'out', 'help'])
      expect(help).toContain(`--${name}`);
  });

  test.each([
    [['--stepz', '5'], /Unknown option '--stepz'/],
    [['--steps'], /--steps/],
    [['--steps', 'many'], /--steps is "many", expected an integer from 1 to/],
    [['--steps', '0'], /--steps is "0"/],
    [['--steps', '1e3'], /--steps is "1e3"/],
    [['--seed', '-1'], /--seed/],
    [['--seed', '4294967296'], /--seed is "4294967296", expected an integer from 0 to 2147483647/],
    [['--threads', '65'], /--threads is "65"/],
    [['--config', ''], /--config has no value/],
    [['study.mjs'], /study\.mjs/],
    [['--device', 'tpu'], /--device is "tpu", expected one of cpu, webgpu, cuda, reference/],
    [['--device', 'constructor'], /--device is "constructor"/],
    [['--device', 'reference', '--threads', '2'], /--threads is for the cpu device/],
  ])('%j is refused', (args, message) => {
    expect(() => read(...args)).toThrow(UsageError);
    expect(() => read(...args)).toThrow(message);
  });
});
