// How every package is tested: public names of the workspace resolve to sources, so that no build is needed.
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vitest/config';

const packagesFolder = fileURLToPath(new URL('../../packages/', import.meta.url));

/** `@mamba-ts/NAME` -> packages/NAME/src/index.ts, `@mamba-ts/NAME/SUB` -> packages/NAME/src/SUB(.ts or /index.ts). */
function sourceAliases() {
  return readdirSync(packagesFolder).flatMap((name) => [
    { find: new RegExp(`^@mamba-ts/${name}$`), replacement: `${packagesFolder}${name}/src/index.ts` },
    { find: new RegExp(`^@mamba-ts/${name}/(.+)$`), replacement: `${packagesFolder}${name}/src/$1` },
  ]);
}

/** The vitest configuration of one package; `name` is also the name of its result file. */
export function packageTests(name, overrides = {}) {
  return mergeConfig(
    defineConfig({
      resolve: { alias: sourceAliases() },
      test: {
        name,
        environment: 'node',
        include: ['test/**/*.test.ts'],
        pool: 'forks',
        maxWorkers: 2,
        testTimeout: 60_000,
        hookTimeout: 60_000,
        reporters: ['default', ['json', { outputFile: `test-results/${name}.json` }]],
      },
    }),
    overrides,
  );
}
