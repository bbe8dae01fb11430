// What the scripts share: where the repository is, how to start pnpm and turbo, and an install that is skipped when
// nothing it reads has changed. Runs on the system's Node (20 or later); everything it starts runs on the pinned one.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

const windows = process.platform === 'win32';
const binaries = join(root, 'node_modules', '.bin');
const stampFile = join(root, 'node_modules', '.mamba-install');

/** The Node of the workspace, installed from the npm package `node`. */
export const pinnedNode = join(binaries, windows ? 'node.exe' : 'node');

/** Folders of all workspace packages, relative to the root. */
export function packageFolders() {
  return ['packages', 'apps', 'tooling'].flatMap((parent) =>
    existsSync(join(root, parent))
      ? readdirSync(join(root, parent))
          .map((name) => `${parent}/${name}`)
          .filter((folder) => existsSync(join(root, folder, 'package.json')))
      : [],
  );
}

/** The parsed package.json of a folder (relative to the root; '' is the root itself). */
export function manifest(folder) {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
}

/**
 * Starts a command in the root and resolves with its exit code. `log` collects the output instead of showing it.
 * `env` is added to this process's environment.
 */
export function execute(command, args, { log, env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      shell: windows,
      stdio: log === undefined ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.on('data', (chunk) => log.push(chunk));
    child.stderr?.on('data', (chunk) => log.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
}

/** Runs pnpm in the version of the `packageManager` field, whether or not the machine has one. */
export function pnpm(args, options = {}) {
  const version = manifest('').packageManager;
  return execute('npx', ['--yes', '--loglevel=error', version, ...args], options);
}

/** What tools run with: the pinned Node first on the PATH, no telemetry, and no colours in a log file. */
export function toolEnvironment() {
  return {
    TURBO_TELEMETRY_DISABLED: '1',
    ...(process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: '0' }),
    PATH: `${binaries}${delimiter}${process.env.PATH ?? ''}`,
  };
}

/** Runs turbo on the pinned Node. turbo itself looks for pnpm on the PATH, so it is started through pnpm. */
export function turbo(args, options = {}) {
  return pnpm(['exec', 'turbo', ...args], { ...options, env: { ...toolEnvironment(), ...options.env } });
}

/** What an install depends on, as one hash. */
function installState() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  const files = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json'];
  for (const file of [...files, ...packageFolders().map((folder) => `${folder}/package.json`)]) {
    hash.update(`\n${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

/** Installs what the lock file names, unless that is already there. Exits the process with the log on failure. */
export async function install() {
  const state = installState();
  const current = existsSync(stampFile) && existsSync(pinnedNode) ? readFileSync(stampFile, 'utf8') : '';
  if (current === state) return;
  console.error('Installing dependencies (first start, or the lock file changed) ...');
  const started = Date.now();
  const log = [];
  const code = await pnpm(['install', '--frozen-lockfile', '--prefer-offline'], { log });
  if (code !== 0 || !existsSync(pinnedNode)) {
    process.stderr.write(Buffer.concat(log));
    console.error(`Installing failed (pnpm exited with ${code}); its log is above.`);
    process.exit(code || 1);
  }
  writeFileSync(stampFile, state);
  console.error(`Installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

/** Builds a package and what it depends on. Exits the process with the log on failure. */
export async function build(name) {
  const log = [];
  const notice = setTimeout(() => console.error(`Building ${name.replace('...', '')} ...`), 2000);
  const code = await turbo(['run', 'build', `--filter=${name}`, '--output-logs=errors-only'], { log });
  clearTimeout(notice);
  if (code !== 0) {
    process.stderr.write(Buffer.concat(log));
    console.error(`Building ${name} failed; its log is above.`);
    process.exit(code);
  }
}

const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 };

/**
 * Runs a built program on the pinned Node in this terminal, and exits with its exit code. Signals are the program's
 * business: this process outlives them to report how the program ended.
 */
export function runProgram(file, args) {
  if (!existsSync(join(root, file))) {
    console.error(`${file} does not exist after the build`);
    process.exit(1);
  }
  const child = spawn(pinnedNode, [join(root, file), ...args], { stdio: 'inherit' });
  // A terminal's Ctrl-C goes to every process of the group: the program has it already.
  process.on('SIGINT', () => {});
  // These may have been sent to this process alone. Whoever had it already gets a moment to act on it first.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.once(signal, () => setTimeout(() => child.kill(signal), 1000));
  // npm hands a signal to its shell and no further: when that is gone, nobody waits for the program any more.
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event !== undefined && !windows) {
    setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
  }
  child.on('error', (error) => {
    console.error(`${file} could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (signalNumbers[signal] ?? 0)));
}
