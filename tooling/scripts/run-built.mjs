// `run-built.mjs PACKAGE FILE ARGS`: builds PACKAGE with what it depends on, then runs FILE (relative to the root).
// FILE is run from the folder that the user is in, so that paths among ARGS mean what they say.
import { build, install, runProgram } from './workspace.mjs';

const [name, file, ...args] = process.argv.slice(2);
if (name === undefined || file === undefined) {
  console.error('usage: run-built.mjs PACKAGE FILE [ARGS]');
  process.exit(2);
}
await install();
await build(`${name}...`);
if (process.env.INIT_CWD !== undefined) process.chdir(process.env.INIT_CWD);
runProgram(file, args[0] === '--' ? args.slice(1) : args);
