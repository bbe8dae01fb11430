import type { DType } from '@mamba-ts/tensor';
import { toBrain } from './ptx-operations';

/** Elements of buffers in a memory, as a device stores them. */

export function writeElement(memory: DataView, at: number, dtype: DType, k: number, value: number): void {
  if (dtype === 'float32') memory.setFloat32(at + 4 * k, value, true);
  else if (dtype === 'bfloat16') memory.setUint16(at + 2 * k, toBrain(value), true);
  else if (dtype === 'float16') memory.setFloat16(at + 2 * k, value, true);
  else memory.setInt32(at + 4 * k, value, true);
}

export function readElement(memory: DataView, at: number, dtype: DType, k: number): number {
  if (dtype === 'float32') return memory.getFloat32(at + 4 * k, true);
  if (dtype === 'bfloat16') return new Float32Array(Uint32Array.of(memory.getUint16(at + 2 * k, true) << 16).buffer)[0];
  if (dtype === 'float16') return memory.getFloat16(at + 2 * k, true);
  return memory.getInt32(at + 4 * k, true);
}
