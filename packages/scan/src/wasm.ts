// The WASM kernels for a host that has its own memory and threads: bytes, variants, instantiation.
//
// Memory map: static data of the module lies in [scanMemoryBase, scanMemoryEnd); everything else is the host's. Each
// kernel is (params, tid, threads): all `threads` threads call it with the same address of a parameter block
// (writeScanParams) and their own tid; the next kernel of a list in scanExports may start when all have returned.
import { kernelsRelaxed } from './generated/kernels.relaxed';
import { kernelsSimd } from './generated/kernels.simd';
import { scanExports } from './wasm-params';

/** `relaxed` uses fused multiply-add (relaxed SIMD): faster and a little more exact, bits may differ between CPUs. */
export type ScanVariant = 'simd' | 'relaxed';

/** First byte of the modules' static data. */
export const scanMemoryBase = 1024;
/** End of the share of memory that is agreed for static data of the modules. */
export const scanMemoryEnd = 32768;

/** One kernel: address of the parameter block, this thread's number, number of threads. */
export type ScanKernelFunction = (params: number, tid: number, threads: number) => void;
export type ScanExportName = (typeof scanExports)[keyof typeof scanExports][number];
export type ScanKernelExports = Readonly<Record<ScanExportName, ScanKernelFunction>>;

/** (func (result v128) (f32x4.relaxed_madd 0 0 0)): valid where relaxed SIMD is. */
const relaxedProbe = [
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic, version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // type () -> v128
  ...[0x03, 0x02, 0x01, 0x00], // one function of it
  ...[0x0a, 0x13, 0x01, 0x11, 0x00], // its body
  ...[0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f], // three times i8x16.splat(0)
  ...[0xfd, 0x85, 0x02, 0x0b], // f32x4.relaxed_madd, end
];

/** The fastest variant that this engine accepts. */
export function detectScanVariant(): ScanVariant {
  return WebAssembly.validate(new Uint8Array(relaxedProbe)) ? 'relaxed' : 'simd';
}

/** Reads an unsigned LEB128 number: its value and the index behind it. */
function readUnsigned(bytes: Uint8Array, at: number): readonly [value: number, next: number] {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
  throw new RangeError(`WebAssembly module: number at byte ${at - 5} is longer than 5 bytes, expected at most 5`);
}

/** Index of the limits flag of the module's only import, a memory. */
function memoryFlagIndex(bytes: Uint8Array): number {
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at];
    const [size, content] = readUnsigned(bytes, at + 1);
    if (id === 2) {
      let [, next] = readUnsigned(bytes, content); // number of imports
      for (let name = 0; name < 2; name++) {
        const [length, text] = readUnsigned(bytes, next);
        next = text + length;
      }
      if (bytes[next] === 2) return next + 1; // kind memory
      break;
    }
    at = content + size;
  }
  throw new TypeError('WebAssembly module: first import is not a memory, expected env.memory');
}

/**
 * A copy of a module's bytes whose imported memory is shared or not. Both kinds need a maximum of at most 65536 pages:
 * `new WebAssembly.Memory({ initial, maximum: 65536, shared })`. Without shared memory there is one thread.
 */
export function withMemoryKind(bytes: Uint8Array, shared: boolean): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes);
  copy[memoryFlagIndex(copy)] = shared ? 3 : 1;
  return copy;
}

/** Bytes of a variant's module. It imports `env.memory`, {@link withMemoryKind} says of which kind. */
export function scanModuleBytes(variant: ScanVariant, shared: boolean): Uint8Array<ArrayBuffer> {
  const base64 = variant === 'relaxed' ? kernelsRelaxed : kernelsSimd;
  return withMemoryKind(
    Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
    shared,
  );
}

/** Compiles a variant; the module can be posted to workers and instantiated there on the same memory. */
export function compileScanModule(variant: ScanVariant, shared: boolean): WebAssembly.Module {
  return new WebAssembly.Module(scanModuleBytes(variant, shared));
}

/** The kernels on `memory`. Writes the module's constants into [scanMemoryBase, scanMemoryEnd), always the same. */
export function instantiateScanKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): ScanKernelExports {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return exports as unknown as ScanKernelExports;
}
