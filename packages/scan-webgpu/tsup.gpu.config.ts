// The GPU run as one file without this workspace: `pnpm run gpu`, then carry .gpu/ to a machine with a GPU.
import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { main: 'gpu/main.ts' },
  outDir: '../../.gpu/scan-webgpu',
  format: ['esm'],
  target: 'es2022',
  noExternal: [/^@mamba-ts\//],
  external: ['webgpu'],
  silent: true,
});
