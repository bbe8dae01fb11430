import { scanModuleBytes, withMemoryKind } from '@mamba-ts/scan';
import { kernelsRelaxed } from '../generated/kernels.relaxed';
import { kernelsSimd } from '../generated/kernels.simd';

/** Compiles the AssemblyScript modules (routines of this package and the scan) in one of their variants. */
export async function compileModules({
  shared,
  relaxed,
}: {
  shared: boolean;
  relaxed: boolean;
}): Promise<{ kernels: WebAssembly.Module; scan: WebAssembly.Module }> {
  const base64 = relaxed ? kernelsRelaxed : kernelsSimd;
  const bytes = withMemoryKind(
    Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
    shared,
  );
  const [kernels, scan] = await Promise.all([
    WebAssembly.compile(bytes),
    WebAssembly.compile(scanModuleBytes(relaxed ? 'relaxed' : 'simd', shared)),
  ]);
  return { kernels, scan };
}
