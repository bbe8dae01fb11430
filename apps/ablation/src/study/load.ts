import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../errors';
import { packageFolder } from '../package-folder';
import { checkStudy } from './check';
import type { Study } from './study';

/** The study that runs when none is named. */
export const defaultStudy: string = join(packageFolder, 'configs', 'study.mjs');

const modules = ['.mjs', '.js', '.mts', '.ts'];

/**
 * Reads a config file: JSON, or a module whose default export is the study.
 *
 * @returns the study and the folder that its paths are relative to
 * @throws UsageError when the file can't be read or isn't a study
 */
export async function loadStudy(file: string): Promise<{ study: Study; folder: string }> {
  if (!existsSync(file)) throw new UsageError(`--config: ${file} does not exist`);
  const extension = extname(file);
  let value: unknown;
  try {
    if (extension === '.json') value = JSON.parse(readFileSync(file, 'utf8'));
    else if (modules.includes(extension))
      value = ((await import(pathToFileURL(file).href)) as { default?: unknown }).default;
    else
      throw new UsageError(
        `--config: ${file} ends in ${extension || 'nothing'}, expected .json or one of ${modules.join(', ')}`,
      );
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--config: ${file} could not be read: ${(error as Error).message}`, { cause: error });
  }
  return { study: checkStudy(value), folder: dirname(file) };
}
