// Writes the README's package table: what each package is for, its size (gzip of the minified ESM with everything it bundles, dependencies not
// counted), and where it runs. Usage, after a build: node tooling/scripts/package-table.mjs
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** The rest needs Node's built-ins. */
const inBrowsers = new Set([
  'tensor',
  'backend-webgpu',
  'devices',
  'scan',
  'scan-webgpu',
  'nn',
  'ssm',
  'models',
  'tokenizers',
]);
const order = [
  'tensor',
  'backend-webgpu',
  'backend-cuda',
  'devices',
  'scan',
  'scan-webgpu',
  'scan-cuda',
  'nn',
  'ssm',
  'models',
  'tokenizers',
  'tasks',
  'train',
  'bench',
];

/** Files that the ESM entry reaches by relative imports. */
function reachable(entry, found = new Set()) {
  if (found.has(entry)) return found;
  found.add(entry);
  for (const [, target] of readFileSync(entry, 'utf8').matchAll(/(?:from|import)\s*['"](\.[^'"]+)['"]/g)) {
    reachable(path.resolve(path.dirname(entry), target), found);
  }
  return found;
}

const rows = ['| package | what for | gzip | runs in | alone |', '| --- | --- | ---: | --- | --- |'];
for (const name of order) {
  const folder = path.join(root, 'packages', name);
  const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const files = [...reachable(path.join(folder, 'dist/index.js'))];
  const bytes = gzipSync(files.map((f) => readFileSync(f, 'utf8')).join('\n'), { level: 9 }).length;
  const runs = inBrowsers.has(name) ? 'Node ≥ 22, browsers' : 'Node ≥ 22';
  rows.push(`| \`${manifest.name}\` | ${manifest.description} | ${(bytes / 1024).toFixed(0)} KiB | ${runs} | [example](packages/${name}/README.md#use-it-alone-like-this) |`);
}
for (const name of readdirSync(path.join(root, 'packages'))) {
  if (statSync(path.join(root, 'packages', name)).isDirectory() && !order.includes(name)) throw new Error(`package-table: packages/${name} is not listed here`);
}

const file = path.join(root, 'README.md');
const text = readFileSync(file, 'utf8');
const updated = text.replace(/(<!-- packages -->\n)[\s\S]*?(<!-- \/packages -->)/, (_, start, end) => `${start}${rows.join('\n')}\n${end}`);
if (!text.includes('<!-- packages -->')) throw new Error('package-table: README.md has no <!-- packages --> region');
if (updated !== text) writeFileSync(file, updated);
console.log(rows.join('\n'));
