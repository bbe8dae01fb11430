// `npm test`: installs what is missing, then type-checks, lints, tests, builds and packs every package, and reports.
// The last line is always `N passed, N failed, N skipped`.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkRepository } from './repository-checks.mjs';
import { clearResults, printResults, readResults } from './test-results.mjs';
import { install, root, turbo } from './workspace.mjs';

const tasks = ['typecheck', 'lint', 'test', 'build', 'lint:pkg'];

/**
 * Some tests read golden data beside the repository, which turbo can't see: without its state in the environment a
 * cached result would outlive a change of the data.
 */
function sharedState() {
  const folder = join(root, '..', 'shared', 'fixtures');
  if (!existsSync(folder)) return 'absent';
  const hash = createHash('sha256');
  for (const name of readdirSync(folder, { recursive: true }).toSorted()) {
    const { size, mtimeMs } = statSync(join(folder, name));
    hash.update(`${name} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** Tasks that did not end well, from the summary that turbo writes of its run. */
function failedTasks(summaries) {
  const [latest] = existsSync(summaries) ? readdirSync(summaries).filter((name) => name.endsWith('.json')) : [];
  if (latest === undefined) return [];
  const { tasks: ran } = JSON.parse(readFileSync(join(summaries, latest), 'utf8'));
  return ran.filter((task) => task.execution !== undefined && task.execution.exitCode !== 0).map((task) => task.taskId);
}

await install();
clearResults();
const summaries = join(root, '.turbo', 'runs');
rmSync(summaries, { recursive: true, force: true });

const broken = [];
console.log('Repository and package boundaries');
broken.push(...(await checkRepository()));

console.log(`\nTasks: ${tasks.join(', ')}`);
const env = { MAMBA_SHARED_STATE: sharedState() };
const flags = ['--continue', '--concurrency=2', '--output-logs=new-only', '--ui=stream', '--summarize'];
const code = await turbo(['run', ...tasks, ...flags, ...process.argv.slice(2)], { env });
const failed = failedTasks(summaries);
rmSync(summaries, { recursive: true, force: true });
broken.push(...failed);
if (code !== 0 && failed.length === 0) broken.push(`turbo run (exit code ${code})`);

const totals = printResults(readResults());
if (broken.length > 0) console.log(`\nNot in order: ${broken.join(', ')}`);
process.exitCode = broken.length > 0 || totals.failed > 0 || totals.missing > 0 ? 1 : 0;
console.log(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
