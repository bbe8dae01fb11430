// Bundles a program of the workspace from its sources into one file, which a machine with a card, Node and the package `webgpu` runs:
//   node packages/backend-webgpu/scripts/bundle.mjs ENTRY.ts OUT.mjs
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const tsup = createRequire(import.meta.url).resolve('tsup');
const { build } = createRequire(tsup)('esbuild');

const sources = {
  name: 'workspace sources',
  setup(b) {
    for (const name of readdirSync(packages)) {
      b.onResolve({ filter: new RegExp(`^@mamba-ts/${name}(/|$)`) }, ({ path, resolveDir }) => {
        const part = path.slice(`@mamba-ts/${name}`.length + 1);
        return b.resolve(`${packages}${name}/src/${part || 'index'}`, { resolveDir, kind: 'import-statement' });
      });
    }
  },
};

await build({
  entryPoints: [process.argv[2]],
  outfile: process.argv[3],
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  external: ['webgpu', 'koffi', '@huggingface/hub'],
  plugins: [sources],
  logLevel: 'warning',
});
