// `npm run lint`: the repository's own rules, the layering, and every package's linter.
import { checkRepository } from './repository-checks.mjs';
import { install, turbo } from './workspace.mjs';

await install();
const failed = await checkRepository();
if ((await turbo(['run', 'lint', '--output-logs=new-only', '--continue'])) !== 0) failed.push('lint of packages');
if (failed.length > 0) console.log(`Not in order: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
