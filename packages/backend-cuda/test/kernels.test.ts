import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { unpack } from '../src/routine-images';

const folder = fileURLToPath(new URL('..', import.meta.url));

it('the PTX was made from the sources in kernels/', () => {
  const script = fileURLToPath(new URL('../../../tooling/ptx/build-ptx.mjs', import.meta.url));
  expect(() => execFileSync(process.execPath, [script, folder, '--check'], { stdio: 'pipe' })).not.toThrow();
});

it('every compiled module runs on sm_80, or on the one architecture that its first line names, and has kernels', async () => {
  const names = readdirSync(`${folder}/kernels`).flatMap((file) => (file.endsWith('.cu') ? [file.slice(0, -3)] : []));
  for (const name of names) {
    const { ptx } = (await import(`../src/ptx/${name}.ts`)) as { ptx: string };
    const text = new TextDecoder().decode(unpack(ptx));
    const [, architecture = '80'] = /^\/\/ arch: compute_(\w+)\n/.exec(readFileSync(`${folder}/kernels/${name}.cu`, 'utf8')) ?? [];
    expect(text, name).toContain(`.target sm_${architecture}\n`);
    expect(text, name).toMatch(/\.entry \w+\(/);
  }
});
