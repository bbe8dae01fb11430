import { readdir } from 'node:fs/promises';
import { type Family, notYetCovered, type Result } from '../family';

/** A family that is known, but whose part of the packages does not exist yet: its cases are listed by name. */
export function waitingFamily(name: string): Family {
  return {
    name,
    async *check(folder: string): AsyncIterable<Result> {
      for (const file of (await readdir(folder)).toSorted()) {
        const stem = /^(.+)\.safetensors$/.exec(file)?.[1];
        // A checkpoint is no case: the cases are what was computed with it.
        if (stem !== undefined && stem !== 'model') yield notYetCovered(stem);
      }
    },
  };
}
