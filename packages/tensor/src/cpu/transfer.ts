import type { DType, HostArray } from '../dtype';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../half';

/** Copies `values` to byte `address` of the memory in the storage type `dtype`. */
export function writeValues(memory: ArrayBufferLike, address: number, dtype: DType, values: HostArray): void {
  const { length } = values;
  switch (dtype) {
    case 'float32':
      new Float32Array(memory, address, length).set(values);
      return;
    case 'int32': {
      const target = new Int32Array(memory, address, length);
      if (values instanceof Int32Array || values instanceof Uint8Array) target.set(values);
      else for (let i = 0; i < length; i++) target[i] = saturate(values[i]);
      return;
    }
    case 'bool': {
      const target = new Int32Array(memory, address, length);
      for (let i = 0; i < length; i++) target[i] = values[i] !== 0 ? 1 : 0;
      return;
    }
    case 'bfloat16': {
      const target = new Uint16Array(memory, address, length);
      if (values instanceof Float32Array) roundToBFloat16(values, target);
      else for (let i = 0; i < length; i++) target[i] = toBFloat16(values[i]);
      return;
    }
    case 'float16': {
      const target = new Uint16Array(memory, address, length);
      for (let i = 0; i < length; i++) target[i] = toFloat16(values[i]);
    }
  }
}

/** As `toBFloat16`, on the bits: a model's weights pass here. */
function roundToBFloat16(values: Float32Array, target: Uint16Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const u = bits[i];
    const isNaN = (u & 0x7fffffff) > 0x7f800000;
    target[i] = isNaN ? (u >>> 16) | 0x40 : (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
  }
}

/** A copy of `count` elements at byte `address`: floats as Float32Array, int32 as Int32Array, bool as Uint8Array. */
export function readValues(memory: ArrayBufferLike, address: number, dtype: DType, count: number): HostArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(memory, address, count).slice();
    case 'int32':
      return new Int32Array(memory, address, count).slice();
    case 'bool':
      return Uint8Array.from(new Int32Array(memory, address, count));
    case 'bfloat16':
      return Float32Array.from(new Uint16Array(memory, address, count), fromBFloat16);
    case 'float16':
      return Float32Array.from(new Uint16Array(memory, address, count), fromFloat16);
  }
}

/** Towards zero, within int32; NaN gives 0. As the `cast` instruction. */
function saturate(x: number): number {
  return Number.isNaN(x) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x)));
}
