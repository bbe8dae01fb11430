// Compiles a package's kernels/*.cu to PTX (sm_80, which every later card runs too, or what a first line `// arch: …` names) and writes src/ptx/*.ts: `ptx`, compressed, and `sourcesHash`.
// Needs nvcc 13; the result is committed, so that building and using the package does not.
//   node build-ptx.mjs PACKAGE_FOLDER [--check] [NAME…]      --check only says whether sources and PTX match
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const [packageFolder, ...rest] = process.argv.slice(2);
const folder = join(packageFolder, 'kernels');
const output = join(packageFolder, 'src/ptx');
const wanted = rest.filter((argument) => !argument.startsWith('--'));
const names = readdirSync(folder).filter((file) => file.endsWith('.cu')).map((file) => file.slice(0, -3)).filter((name) => wanted.length === 0 || wanted.includes(name));

/** Hash of a source and all that it includes from the folder, so that one kernel's change touches one generated file. */
function hashOf(file) {
  const hash = createHash('sha256');
  const seen = new Set();
  const add = (name) => {
    if (seen.has(name)) return;
    seen.add(name);
    const text = readFileSync(join(folder, name), 'utf8');
    hash.update(`${name}\n`).update(text);
    for (const [, included] of text.matchAll(/^#include "([^"]+)"/gm)) add(included);
  };
  add(file);
  return hash.digest('hex');
}

function compile(name, digest) {
  const temporary = mkdtempSync(join(tmpdir(), 'build-ptx-'));
  try {
    const target = join(temporary, 'kernels.ptx');
    const source = join(folder, `${name}.cu`);
    const arch = /^\/\/ arch: (\w+)\n/.exec(readFileSync(source, 'utf8'))?.[1] ?? 'compute_80';
    execFileSync('nvcc', ['-std=c++17', '-O3', `-arch=${arch}`, '-ptx', '-o', target, source], { stdio: 'inherit' });
    const ptx = readFileSync(target, 'utf8').replace(/^\/\/.*\n/gm, '');
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_SIZE_HINT } = constants;
    const packed = brotliCompressSync(ptx, { params: { [BROTLI_PARAM_QUALITY]: 11, [BROTLI_PARAM_LGWIN]: 24, [BROTLI_PARAM_SIZE_HINT]: ptx.length } });
    writeFileSync(
      join(output, `${name}.ts`),
      `// Made by tooling/ptx/build-ptx.mjs from kernels/${name}.cu: PTX, brotli, base64; and the hash of its sources.\nexport const ptx: string =\n  '${packed.toString('base64')}';\nexport const sourcesHash: string =\n  '${digest}';\n`,
    );
    console.log(`${name}: ${ptx.length} characters of PTX, ${packed.length} bytes compressed`);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

let stale = 0;
for (const name of names) {
  const digest = hashOf(`${name}.cu`);
  const file = join(output, `${name}.ts`);
  const written = existsSync(file) ? readFileSync(file, 'utf8').match(/sourcesHash[^']*'([0-9a-f]{64})'/)?.[1] : undefined;
  if (written === digest) continue;
  if (process.argv.includes('--check')) {
    console.error(`${name}: the sources have hash ${digest}, src/ptx/${name}.ts was made from ${written ?? 'nothing'}: run the script "kernels"`);
    stale++;
  } else {
    compile(name, digest);
  }
}
process.exit(stale > 0 ? 1 : 0);
