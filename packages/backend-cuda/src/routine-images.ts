import { brotliDecompressSync } from 'node:zlib';

/** PTX text of a module as it ships (src/ptx/*.ts: brotli, base64). */
export function unpack(ptx: string): Uint8Array {
  return brotliDecompressSync(Buffer.from(ptx, 'base64'));
}
