import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type ParityOptions, type Result, unusable } from './family';
import { families } from './registry';

/** A result and the family it belongs to. */
export interface Row {
  readonly family: string;
  readonly result: Result;
}

/** Files that explain fixtures and are none. */
const isDocumentation = (file: string): boolean => /\.(md|txt)$/i.test(file) || file.startsWith('.');

/**
 * Checks every family in `folder`. What it does not know is a result that fails: another folder, a loose file, a family
 * without cases.
 *
 * @throws when `folder` cannot be read.
 */
export async function* checkFolder(folder: string, options: ParityOptions): AsyncIterable<Row> {
  for (const entry of (await readdir(folder)).toSorted()) {
    if (isDocumentation(entry)) continue;
    const path = join(folder, entry);
    const family = families.find(({ name }) => name === entry);
    if (family === undefined || !(await stat(path)).isDirectory()) {
      yield { family: entry, result: unusable('', 'no family of this name is known') };
      continue;
    }
    let cases = 0;
    try {
      for await (const result of family.check(path, options)) {
        cases++;
        yield { family: family.name, result };
      }
    } catch (error) {
      cases++;
      yield { family: family.name, result: unusable('', (error as Error).message) };
    }
    if (cases === 0) yield { family: family.name, result: unusable('', 'the folder holds no case') };
  }
}
