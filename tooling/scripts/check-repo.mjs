// Rules about the repository that no linter knows. Prints what breaks them, and fails if anything does.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { manifest, packageFolders, root } from './workspace.mjs';

const problems = [];
const topLevel = ['packages', 'apps', 'tooling', '.changeset', '.ci'];

/** Files that git tracks or would track; without git (an unpacked archive) nothing can be said about them. */
function repositoryFiles() {
  if (!existsSync(join(root, '.git'))) return [];
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 };
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], options);
  return listed.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

const forbidden = [
  { what: 'a path of one machine', pattern: /(?<![\w.:/-])\/(?:home\/\w|root\/|work\/|Users\/\w)/ },
  { what: 'a path of one machine', pattern: /\b[A-Z]:\\Users\\/ },
  { what: 'a registry host', pattern: /registry\.(?:npmjs|yarnpkg|npmmirror)\.|npm\.pkg\.github\.|deb\.debian\./ },
];

/** Reads a text file whole; undefined for binary and very large ones. */
function textOf(file) {
  if (statSync(join(root, file)).size > 4 * 2 ** 20) return undefined;
  const bytes = readFileSync(join(root, file));
  return bytes.subarray(0, 8000).includes(0) ? undefined : bytes.toString('utf8');
}

function checkText(file) {
  const text = textOf(file);
  if (text === undefined) return;
  for (const [index, line] of text.split('\n').entries()) {
    for (const { what, pattern } of forbidden) {
      if (pattern.test(line)) problems.push(`${file}:${index + 1} names ${what}: ${line.trim().slice(0, 120)}`);
    }
    if (file === 'pnpm-lock.yaml' && /https?:\/\//.test(line)) {
      problems.push(`${file}:${index + 1} names a host: ${line.trim().slice(0, 120)}`);
    }
  }
}

function checkTopLevel(files) {
  const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
  for (const folder of folders) {
    if (!topLevel.includes(folder)) problems.push(`${folder}/ at the top level, expected only ${topLevel.join(', ')}`);
  }
}

function checkPackage(folder) {
  const { name, description, license, engines, sideEffects, scripts = {}, ...fields } = manifest(folder);
  const wrong = (text) => problems.push(`${folder}/package.json: ${text}`);
  if (license !== 'MIT') wrong(`license is ${license}, expected MIT`);
  if (engines?.node === undefined) wrong('engines.node is missing');
  if (sideEffects !== false) wrong(`sideEffects is ${sideEffects}, expected false`);
  if (!description) wrong('description is missing');
  if (!existsSync(join(root, folder, 'README.md'))) problems.push(`${folder} has no README.md`);
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    if (script in scripts) wrong(`has the install script "${script}", expected none`);
  }
  if (fields.private) return;
  if (name !== `@mamba-ts/${folder.split('/')[1]}`) wrong(`name is ${name}, expected the folder's`);
  if (!fields.files?.includes('dist')) wrong('files does not list dist');
}

const files = repositoryFiles();
for (const file of files) checkText(file);
checkTopLevel(files);
if (!existsSync(join(root, 'LICENSE'))) problems.push('LICENSE is missing'); // pnpm packs the root's into every package
for (const folder of packageFolders()) {
  if (!folder.startsWith('tooling/')) checkPackage(folder);
}

for (const problem of problems) console.error(problem);
console.log(`check-repo: ${files.length} files, ${packageFolders().length} packages, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
