import { runProgram } from './program';

const controller = new AbortController();
let exitCode = 130;
let interrupted = false;

function interrupt(code: number): void {
  if (interrupted) process.exit(code);
  interrupted = true;
  exitCode = code;
  process.stderr.write('\nStopping after this step; the report of what is done follows. (Once more quits at once.)\n');
  controller.abort();
}

process.on('SIGINT', () => interrupt(130));
process.on('SIGTERM', () => interrupt(143));
// A reader that went away (`npm start | head`) is no error of ours.
process.stdout.on('error', () => process.exit(1));

const code = await runProgram({
  args: process.argv.slice(2),
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  // npm runs scripts in the root; paths on the command line mean what they say where it was typed.
  folder: process.env.INIT_CWD ?? process.cwd(),
  signal: controller.signal,
});
process.exitCode = code === 130 ? exitCode : code;
