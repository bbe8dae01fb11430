import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runParity } from '../src/command-line';

const shared = fileURLToPath(new URL('../../../../shared/', import.meta.url));

/** The fixtures beside the repository. */
export const fixtures: string = join(shared, 'fixtures');

/** Whether they are there; if not, what the tests of `what` leave out is printed. */
export function presentFor(what: string): boolean {
  const present = existsSync(fixtures);
  if (!present) console.log(`left out, for want of ../shared/fixtures beside the repository: ${what}`);
  return present;
}

/** What a run printed, and its exit code. */
export async function run(folder: string): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const code = await runParity([folder, '--data', join(shared, 'data')], (line) => lines.push(line));
  return { code, text: lines.join('\n') };
}
