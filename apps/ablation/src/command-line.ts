import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { DeviceName } from '@mamba-ts/devices';
import { checkDevice } from './devices';
import { UsageError } from './errors';

export interface CommandLine {
  readonly help: boolean;
  /** Absolute; undefined is the study that comes with the program. */
  readonly config?: string;
  readonly steps?: number;
  readonly seed?: number;
  readonly device: DeviceName;
  readonly threads?: number;
  /** Absolute; undefined is a new folder for each run. */
  readonly out?: string;
}

export const help = `Trains small models that differ in one part, and compares them.

npm start -- [options]

  --config FILE    a study: layers × blocks × task (default: apps/ablation/configs/study.mjs).
                   Copy that file, add a line to its rows, and run the copy.
  --steps N        training steps of every row, instead of the study's
                   (a quick look: --steps 50)
  --seed N         another seed: other data, other initial values, another sample
  --device NAME    cpu (default), webgpu, cuda, or reference: float64, for checking, very slow
  --threads N      threads of the cpu device (default: all cores, at most 8); results don't depend on it
  --out DIR        folder of the report (default: a new one in apps/ablation/reports)
  --help           this text

The report (report.html, report.json, log.jsonl) is complete in itself; its path is the last
line. Ctrl-C stops after the step in hand and reports what is done; twice, it stops at once.
The same seed gives the same numbers.
`;

/**
 * The options, checked.
 *
 * @param base what relative paths start from
 * @throws UsageError for options that don't exist and values that make no sense
 */
export function readCommandLine(args: readonly string[], base: string): CommandLine {
  let values: Partial<Record<string, string | boolean>>;
  try {
    ({ values } = parseArgs({
      args: args[0] === '--' ? args.slice(1) : [...args],
      options: {
        config: { type: 'string' },
        steps: { type: 'string' },
        seed: { type: 'string' },
        device: { type: 'string' },
        threads: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0], { cause: error });
  }
  const text = (name: string): string | undefined => {
    const value = values[name] as string | undefined;
    if (value === '') throw new UsageError(`--${name} has no value`);
    return value;
  };
  const integer = (name: string, least: number, most: number): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (number >= least && number <= most) return number;
    throw new UsageError(`--${name} is ${JSON.stringify(value)}, expected an integer from ${least} to ${most}`);
  };
  const path = (name: string): string | undefined => {
    const value = text(name);
    return value === undefined ? undefined : resolve(base, value);
  };
  const device = checkDevice(text('device') ?? 'cpu');
  const threads = integer('threads', 1, 64);
  if (threads !== undefined && device !== 'cpu')
    throw new UsageError(`--threads is for the cpu device, but --device is ${device}`);
  return {
    help: values.help === true,
    config: path('config'),
    steps: integer('steps', 1, 10_000_000),
    seed: integer('seed', 0, 2 ** 31 - 1),
    device,
    threads: device === 'cpu' ? (threads ?? Math.min(8, availableParallelism())) : undefined,
    out: path('out'),
  };
}
