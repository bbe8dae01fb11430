import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../../../../shared/fixtures/golden/golden.json', import.meta.url));

/** The golden cases by name; null in a clone without them. */
export const golden: Record<string, unknown> | null = existsSync(file)
  ? (JSON.parse(readFileSync(file, 'utf8')) as { cases: Record<string, unknown> }).cases
  : null;
if (!golden) console.log('left out: the golden cases of the tasks (no ../shared/fixtures beside the repository)');
