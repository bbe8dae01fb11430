import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageFolder } from './package-folder';

const packages = ['tensor', 'scan', 'nn', 'ssm', 'models', 'tasks', 'train'];

/** Versions of the packages that a result depends on, and of this program. */
export function packageVersions(): Record<string, string> {
  const require = createRequire(join(packageFolder, 'package.json'));
  const own = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
  };
  const found: Record<string, string> = { [own.name]: own.version };
  for (const name of packages) {
    try {
      found[`@mamba-ts/${name}`] = (require(`@mamba-ts/${name}/package.json`) as { version: string }).version;
    } catch {
      // Not a direct dependency of this program, so it can't be asked.
    }
  }
  return found;
}
