import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  BigramModel,
  gzipBitsPerByte,
  InductionHeads,
  primedGzipBitsPerByte,
  SelectiveCopying,
  TaskError,
  TextWindows,
  type TokenTask,
} from '@mamba-ts/tasks';
import { UsageError } from '../errors';
import type { TaskConfig } from '../study/study';

/**
 * The task that a config describes.
 *
 * @param folder what the path of a text is relative to
 * @throws UsageError where the text can't be read or is too short
 */
export function makeTask(config: TaskConfig, folder: string, seed: number): TokenTask {
  try {
    switch (config.kind) {
      case 'selective-copying':
        return new SelectiveCopying({ ...config, seed });
      case 'induction-heads':
        return new InductionHeads({ ...config, seed });
      case 'text':
        return new TextWindows({ ...config, bytes: readText(resolve(folder, config.file)), seed });
    }
  } catch (error) {
    if (error instanceof TaskError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

function readText(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`task: ${file} could not be read: ${(error as Error).message}`, { cause: error });
  }
}

export interface Baseline {
  readonly name: string;
  readonly bitsPerByte: number;
  /** What it is, for a reader who doesn't know. */
  readonly note: string;
}

/** What no training costs: the held-out text by simpler means, over the bytes that the models are scored on. */
export function textBaselines({ trainPart, validationPart }: TextWindows): Baseline[] {
  return [
    {
      name: 'bigram',
      bitsPerByte: new BigramModel(trainPart).bitsPerByte(validationPart),
      note: 'each byte from the one before, counted in the training part',
    },
    { name: 'gzip', bitsPerByte: gzipBitsPerByte(validationPart), note: 'gzip -9 of the held-out part alone' },
    {
      name: 'gzip, primed',
      bitsPerByte: primedGzipBitsPerByte(validationPart, trainPart),
      note: 'the same, having read the last 32 KiB of the training part',
    },
  ];
}
