import {
  readSafetensors,
  type SafetensorsTensor,
  tensorFromFloats,
  tensorFromIntegers,
  toFloat32,
  toFloat64,
  toInt32,
  writeSafetensors,
} from '@mamba-ts/nn';
import { type Device, OutOfRangeError, type Tensor, tensor } from '@mamba-ts/tensor';
import type { FinishReason, Row } from './row';

const FORMAT = 'mamba-ts/generation';

/** A row as it is after its last token. */
export interface SnapshotRow {
  /** Prompt and what was generated. */
  readonly ids: readonly number[];
  readonly promptLength: number;
  readonly seed: number;
  readonly finish: FinishReason | null;
}

/** Generation at rest: `JSON.stringify` it, or `encodeSnapshot`. It fits the model that it was made with. */
export interface GenerationSnapshot {
  readonly format: typeof FORMAT;
  readonly version: 1;
  readonly rows: readonly SnapshotRow[];
  /** What the model remembers of all but each row's last token; empty before the first. Little-endian, in base64. */
  readonly state: Readonly<Record<string, SavedTensor>>;
}

export interface SavedTensor {
  readonly dtype: SavedDtype;
  readonly shape: readonly number[];
  readonly data: string;
}

type SavedDtype = 'F32' | 'F64' | 'I32';
const readers: Readonly<Record<SavedDtype, (t: SafetensorsTensor) => Float32Array | Float64Array | Int32Array>> = {
  F32: toFloat32,
  F64: toFloat64,
  I32: toInt32,
};

export async function takeSnapshot(
  rows: readonly Row[],
  state: Readonly<Record<string, Tensor>>,
): Promise<GenerationSnapshot> {
  const saved: Record<string, SavedTensor> = {};
  for (const [name, t] of Object.entries(state)) {
    const values = await t.data();
    if (t.dtype === 'int32') {
      saved[name] = { dtype: 'I32', shape: t.shape, data: toBase64(tensorFromIntegers(values, t.shape).bytes) };
      continue;
    }
    // The reference device computes in float64, and would go on otherwise from float32.
    const dtype = values instanceof Float64Array ? 'F64' : 'F32';
    saved[name] = { dtype, shape: t.shape, data: toBase64(tensorFromFloats(values, t.shape, dtype).bytes) };
  }
  return {
    ...{ format: FORMAT, version: 1 },
    rows: rows.map(({ ids, promptLength, seed, finish }) => ({ ids: [...ids], promptLength, seed, finish })),
    state: saved,
  };
}

/** The state on a device. */
export function restoreState({ state }: GenerationSnapshot, device: Device): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(state).map(([name, { dtype, shape, data }]) => {
      const stored: SafetensorsTensor = { dtype, shape, bytes: fromBase64(data) };
      return [name, tensor(readers[dtype](stored), { shape, device })];
    }),
  );
}

/** A snapshot as a safetensors file: the state as tensors, the rest in its metadata. */
export function encodeSnapshot({ format, version, rows, state }: GenerationSnapshot): Uint8Array {
  const tensors = Object.entries(state).map(([name, { dtype, shape, data }]): [string, SafetensorsTensor] => [
    name,
    { dtype, shape, bytes: fromBase64(data) },
  ]);
  return writeSafetensors(new Map(tensors), { generation: JSON.stringify({ format, version, rows }) });
}

/** @throws SafetensorsError if the file is malformed, OutOfRangeError if it is of another kind */
export function decodeSnapshot(file: Uint8Array): GenerationSnapshot {
  const { tensors, metadata } = readSafetensors(file);
  const text = metadata.get('generation');
  if (text === undefined) throw new OutOfRangeError('decodeSnapshot: file holds no generation, expected its metadata');
  const state = Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, bytes }]) => [name, { dtype, shape, data: toBase64(bytes) }]),
  );
  const snapshot = { ...(JSON.parse(text) as object), state } as GenerationSnapshot;
  checkSnapshot(snapshot);
  return snapshot;
}

/** @throws OutOfRangeError for what is no snapshot, or one of another version */
export function checkSnapshot(snapshot: GenerationSnapshot): void {
  const { format, version, rows, state } = snapshot ?? {};
  const isRow = (row: SnapshotRow): boolean => Array.isArray(row?.ids) && Number.isInteger(row.promptLength);
  const isPart = (part: SavedTensor): boolean =>
    Object.hasOwn(readers, part?.dtype) && Array.isArray(part.shape) && typeof part.data === 'string';
  const fits =
    format === FORMAT &&
    version === 1 &&
    Array.isArray(rows) &&
    rows.every(isRow) &&
    typeof state === 'object' &&
    Object.values(state).every(isPart);
  if (!fits)
    throw new OutOfRangeError(
      `generate: snapshot is ${JSON.stringify({ format, version })?.slice(0, 80)}, expected a whole one of ${FORMAT}, version 1`,
    );
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  // As many characters as an argument list takes.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
