import type { DType, HostArray, Variable } from '@mamba-ts/tensor';
import {
  type DeferredTensor,
  type SafetensorsDtype,
  type SafetensorsMetadata,
  streamSafetensors,
  tensorFromFloats,
  tensorFromIntegers,
} from '../safetensors/index';
import type { Stateful } from './stateful';

export interface SaveOptions {
  /** true writes a variable with several keys (tied weights) under each of them; default false: under its first. */
  readonly aliases?: boolean;
  /** Free text in the file's header. */
  readonly metadata?: SafetensorsMetadata;
}

const stored: Readonly<Record<DType, SafetensorsDtype>> = {
  float32: 'F32',
  bfloat16: 'BF16',
  float16: 'F16',
  int32: 'I32',
  bool: 'BOOL',
};

/**
 * The state as a safetensors file, each variable in its own type (float32 on the float64 reference device too).
 *
 * For a model that is large beside the memory: `streamSafetensors(stateDictTensors(model))` writes it piece by piece.
 */
export async function saveStateDict(target: Stateful, options: SaveOptions = {}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of streamSafetensors(stateDictTensors(target, options), options.metadata)) pieces.push(piece);
  const file = new Uint8Array(pieces.reduce((n, piece) => n + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    file.set(piece, at);
    at += piece.length;
  }
  return file;
}

/** The state as tensors whose bytes are read from the device when they are asked for. */
export function stateDictTensors(
  target: Stateful,
  options: Omit<SaveOptions, 'metadata'> = {},
): Map<string, DeferredTensor> {
  const tensors = new Map<string, DeferredTensor>();
  const seen = new Set<Variable>();
  for (const [key, variable] of target.stateDict()) {
    if (seen.has(variable) && !options.aliases) continue;
    seen.add(variable);
    const dtype = stored[variable.dtype];
    tensors.set(key, {
      dtype,
      shape: variable.shape,
      bytes: async () => bytesOf(await variable.data(), variable.shape, dtype),
    });
  }
  return tensors;
}

function bytesOf(values: HostArray, shape: readonly number[], dtype: SafetensorsDtype): Uint8Array {
  switch (dtype) {
    case 'BOOL':
      return Uint8Array.from(values, (v) => Number(v !== 0));
    case 'I32':
      return tensorFromIntegers(values, shape).bytes;
    default:
      return tensorFromFloats(values, shape, dtype as 'F32' | 'F16' | 'BF16').bytes;
  }
}
