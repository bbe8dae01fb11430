// `lint:pkg` of a published package, run in its folder after the build: packs it as publishing would, and checks that
// the tarball is complete, resolves for every kind of consumer, loads as ESM and as CJS, and changes nothing on import.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { root } from './workspace.mjs';

const run = promisify(execFile);
const binary = (name) => join(root, 'node_modules', '.bin', name);
const manifest = JSON.parse(await readFile('package.json', 'utf8'));
const problems = [];

/** Runs a checker; what it prints is a problem only if it fails. */
async function check(title, command, args) {
  try {
    return (await run(command, args, { maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    problems.push(`${title}\n${error.stdout ?? ''}${error.stderr ?? error.message}`);
    return '';
  }
}

/** Loads one entry in a process of its own, and prints its export names and the globals that it added. */
const probe = (load) => `
  const before = new Set(Reflect.ownKeys(globalThis));
  const loaded = ${load};
  const added = Reflect.ownKeys(globalThis).filter((key) => !before.has(key)).map(String);
  const names = Object.keys(loaded).filter((name) => name !== 'default' && name !== 'module.exports').sort();
  console.log(JSON.stringify({ names, added }));`;

async function checkEntry(subpath) {
  const name = JSON.stringify(manifest.name + subpath.slice(1));
  const node = process.execPath;
  const esm = await check(`import ${name}`, node, ['--input-type=module', '-e', probe(`await import(${name})`)]);
  const cjs = await check(`require ${name}`, node, ['--input-type=commonjs', '-e', probe(`require(${name})`)]);
  if (esm === '' || cjs === '') return;
  const [imported, required] = [esm, cjs].map((text) => {
    try {
      return JSON.parse(text);
    } catch {
      return { names: [], added: [], printed: text };
    }
  });
  for (const { printed, added } of [imported, required]) {
    if (printed !== undefined) problems.push(`${name} prints on import: ${printed.slice(0, 200)}`);
    if (added.length > 0) problems.push(`${name} adds globals on import: ${added.join(', ')}`);
  }
  if (imported.names.join() !== required.names.join()) {
    problems.push(`${name} exports ${imported.names.join(', ')} as ESM, but ${required.names.join(', ')} as CJS`);
  }
}

const folder = await mkdtemp(join(tmpdir(), 'mamba-pack-'));
try {
  await check('pnpm pack', 'pnpm', ['pack', '--pack-destination', folder]);
  const [tarball] = (await readdir(folder)).map((name) => resolve(folder, name));
  if (tarball !== undefined) {
    const listing = await check('tar', 'tar', ['-tzf', tarball]);
    for (const file of ['package/README.md', 'package/LICENSE']) {
      if (!listing.split('\n').includes(file)) problems.push(`the tarball has no ${file}`);
    }
    await check('publint', binary('publint'), [tarball, '--strict']);
    const attw = ['--profile', 'node16', '--format', 'ascii', '--no-color'];
    await check('attw', binary('attw'), [tarball, ...attw]);
    for (const subpath of Object.keys(manifest.exports)) {
      if (!subpath.endsWith('.json')) await checkEntry(subpath);
    }
    const { size } = await stat(tarball);
    console.log(`${manifest.name}: ${(size / 1024).toFixed(1)} KiB packed, ${problems.length} problems`);
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
