#!/usr/bin/env node
import { runProgram } from './program';

const controller = new AbortController();
let exitCode = 130;

function interrupt(code: number): void {
  // Whoever asks twice does not want to wait for the token in hand.
  if (controller.signal.aborted) process.exit(code);
  exitCode = code;
  controller.abort();
}

process.on('SIGINT', () => interrupt(130));
process.on('SIGTERM', () => interrupt(143));
// A reader that went away (`mamba generate … | head`) is no error of ours.
process.stdout.on('error', () => process.exit(0));

const code = await runProgram({
  args: process.argv.slice(2),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: controller.signal,
});
process.exitCode = code === 130 ? exitCode : code;
