// What is checked once for the whole repository rather than package by package.
import { join } from 'node:path';
import { execute, pinnedNode, root, turbo } from './workspace.mjs';

const lintedTooling = ['scripts', 'tsup', 'vitest', 'wasm'].map((name) => `tooling/${name}`);

/**
 * turbo reads every .ts file as TypeScript, and AssemblyScript's decorators (`@inline const`) are none. Those files
 * import nothing outside of their folder; that turbo can't parse them is the one thing it may report.
 */
async function boundaries() {
  const log = [];
  const code = await turbo(['boundaries'], { log, env: { NO_COLOR: '1', FORCE_COLOR: '0' } });
  const output = Buffer.concat(log).toString();
  const unwrapped = output.replaceAll(/\s*\n\s*\| ?/g, ' ').replaceAll(/(?<=[-/]) /g, '');
  const unparsed = unwrapped.match(/failed to parse file \S*\/assembly\/\S+\.ts:/g)?.length ?? 0;
  const issues = Number(/(\d+) issues? found/.exec(output)?.[1] ?? 0);
  if (code === 0 || (issues > 0 && issues === unparsed)) {
    console.log(`turbo boundaries: in order (${unparsed} AssemblyScript files not read)`);
    return 0;
  }
  console.log(output);
  return code;
}

/** Runs all checks, whatever the first of them finds; returns the names of those that failed. */
export async function checkRepository() {
  const checks = {
    'check-repo': () => execute(pinnedNode, ['tooling/scripts/check-repo.mjs']),
    'lint of tooling': () =>
      execute(join(root, 'node_modules', '.bin', 'oxlint'), ['-c', 'tooling/lint/oxlint.json', ...lintedTooling]),
    'turbo boundaries': boundaries,
  };
  const failed = [];
  for (const [name, check] of Object.entries(checks)) if ((await check()) !== 0) failed.push(name);
  return failed;
}
