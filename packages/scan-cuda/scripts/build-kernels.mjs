// Compiles kernels/*.cu to PTX (sm_80, which every later card runs too) and writes src/ptx/*.ts. Needs nvcc 13; the
// result is committed, so that building and using the package does not. A file whose sources are unchanged is left as it
// is. `--check` only says whether sources and PTX match.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const folder = fileURLToPath(new URL('../kernels/', import.meta.url));
const output = fileURLToPath(new URL('../src/ptx/', import.meta.url));
const sources = readdirSync(folder).sort();

const hash = createHash('sha256');
for (const name of sources) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
const digest = hash.digest('hex');

/** Hash of a source and of everything that it includes from kernels/. */
function closureHash(name) {
  const seen = new Set();
  const visit = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, included] of readFileSync(join(folder, file), 'utf8').matchAll(/#include "(.+?)"/g)) visit(included);
  };
  visit(name);
  const closure = createHash('sha256');
  for (const file of [...seen].sort()) closure.update(`${file}\n`).update(readFileSync(join(folder, file)));
  return closure.digest('hex').slice(0, 16);
}

if (process.argv.includes('--check')) {
  const written = readFileSync(join(output, 'sources.ts'), 'utf8').match(/'([0-9a-f]{64})'/)?.[1];
  if (written !== digest) {
    console.error(`kernels/ has hash ${digest}, src/ptx was made from ${written}: run the script "kernels"`);
    process.exit(1);
  }
} else {
  const temporary = mkdtempSync(join(tmpdir(), 'scan-cuda-'));
  try {
    for (const name of sources.filter((file) => file.endsWith('.cu'))) {
      const target = join(temporary, 'kernels.ptx');
      const result = join(output, name.replace(/\.cu$/, '.ts'));
      const mark = `sources ${closureHash(name)}`;
      if (existsSync(result) && readFileSync(result, 'utf8').includes(mark)) continue;
      execFileSync('nvcc', ['-std=c++17', '-O3', '-arch=compute_80', '-ptx', '-o', target, join(folder, name)], { stdio: 'inherit' });
      const ptx = readFileSync(target, 'utf8').replace(/^\/\/.*\n/gm, '');
      const packed = brotliCompressSync(ptx, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: 11,
          [constants.BROTLI_PARAM_LGWIN]: 24,
          [constants.BROTLI_PARAM_SIZE_HINT]: ptx.length,
        },
      });
      const text = `// Made by scripts/build-kernels.mjs from kernels/${name} (${mark}): PTX, brotli, base64.\nexport const ptx: string =\n  '${packed.toString('base64')}';\n`;
      writeFileSync(result, text);
      console.log(`${name}: ${ptx.length} characters of PTX, ${packed.length} bytes compressed`);
    }
    writeFileSync(
      join(output, 'sources.ts'),
      `// Made by scripts/build-kernels.mjs: SHA-256 of the files in kernels/ that the PTX was made from.\nexport const sourcesHash: string =\n  '${digest}';\n`,
    );
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
