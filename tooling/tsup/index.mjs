// How every package is built: ESM and CJS side by side, declarations for both, one file per public entry.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Source file of a public entry: `src/NAME.ts`, or `src/NAME/index.ts` where the entry is a folder. */
function sourceOf(name) {
  const candidates = [`src/${name}.ts`, `src/${name}/index.ts`];
  const found = candidates.find((path) => existsSync(resolve(path)));
  if (found === undefined) {
    throw new Error(
      `tsup preset: entry "${name}" of ${process.cwd()} has no source, looked for ${candidates.join(', ')}`,
    );
  }
  return found;
}

const entriesOf = (names) => Object.fromEntries(names.map((name) => [name, sourceOf(name)]));

const shared = {
  sourcemap: true,
  clean: true,
  treeshake: true,
  target: 'es2022',
  silent: true,
  tsconfig: '../../tooling/tsconfig/build.json',
};

/** A published package: its index, further public entries (`subpaths`), and executables without types (`programs`). */
export function library({ subpaths = [], programs = [], ...overrides } = {}) {
  const entry = entriesOf(['index', ...subpaths]);
  return {
    ...shared,
    entry: { ...entry, ...entriesOf(programs) },
    format: ['esm', 'cjs'],
    // Entries of one package share their classes: `instanceof` must hold across subpaths, in CJS too.
    splitting: true,
    dts: { entry },
    ...overrides,
  };
}

/** A program that is run from its folder and never imported: ESM only, no declarations. */
export function program({ entries = ['main'], ...overrides } = {}) {
  return { ...shared, entry: entriesOf(entries), format: ['esm'], dts: false, ...overrides };
}
