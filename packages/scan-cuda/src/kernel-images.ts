// The compiled kernels as they ship: PTX, compressed.
import { brotliDecompressSync } from 'node:zlib';
import type { Layout } from './layout';

const cache = new Map<Layout['module'], Promise<Uint8Array>>();

async function compressed(name: Layout['module']): Promise<string> {
  switch (name) {
    case 'real16':
      return (await import('./ptx/real16')).ptx;
    case 'chain':
      return (await import('./ptx/chain')).ptx;
    case 'real':
      return (await import('./ptx/real')).ptx;
    case 'general':
      return (await import('./ptx/general')).ptx;
  }
}

/** PTX of one of the package's modules, for sm_80 and later. */
export function kernelImage(name: Layout['module']): Promise<Uint8Array> {
  let image = cache.get(name);
  if (image === undefined) {
    image = compressed(name).then((text) => brotliDecompressSync(Buffer.from(text, 'base64')));
    cache.set(name, image);
  }
  return image;
}
