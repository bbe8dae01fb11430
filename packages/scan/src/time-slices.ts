// Parts of a scan's inputs, for what must hold between a whole sequence and its parts.
import { type ScanGradients, type ScanInputs, type ScanShape, stateWidth } from './types';

export interface ScanPart {
  readonly shape: ScanShape;
  readonly inputs: ScanInputs;
}

/** Steps [from, to) of (batch, length, size) values. */
export function sliceSteps<T extends Float32Array | Int32Array | Uint8Array>(
  values: T,
  { batch, length }: ScanShape,
  from: number,
  to: number,
): T {
  const size = values.length / (batch * length);
  const rows = Array.from({ length: batch }, (_, b) =>
    values.subarray((b * length + from) * size, (b * length + to) * size),
  );
  const result = values.slice(0, batch * (to - from) * size) as T;
  rows.forEach((row, b) => result.set(row, b * (to - from) * size));
  return result;
}

/** Steps [from, to) of all sequences, starting from `initialState`. */
export function sliceTime(
  shape: ScanShape,
  inputs: ScanInputs,
  from: number,
  to: number,
  initialState?: Float32Array,
): ScanPart {
  const cut = <T extends Float32Array | Int32Array | Uint8Array>(values: T): T => sliceSteps(values, shape, from, to);
  const { initialState: _, ...rest } = inputs;
  return {
    shape: { ...shape, length: to - from },
    inputs: {
      ...rest,
      ...{ u: cut(inputs.u), delta: cut(inputs.delta) },
      B: shape.variableB ? cut(inputs.B) : inputs.B,
      C: shape.variableC ? cut(inputs.C) : inputs.C,
      ...(inputs.z && { z: cut(inputs.z) }),
      ...(inputs.resets && { resets: cut(inputs.resets) }),
      ...(initialState && { initialState }),
    },
  };
}

/** Sequence `b` alone. */
export function sliceBatch(shape: ScanShape, inputs: ScanInputs, b: number): ScanPart {
  const cut = <T extends Float32Array | Int32Array | Uint8Array>(values: T): T => {
    const size = values.length / shape.batch;
    return values.slice(b * size, (b + 1) * size) as T;
  };
  return {
    shape: { ...shape, batch: 1 },
    inputs: {
      ...inputs,
      ...{ u: cut(inputs.u), delta: cut(inputs.delta) },
      B: shape.variableB ? cut(inputs.B) : inputs.B,
      C: shape.variableC ? cut(inputs.C) : inputs.C,
      ...(inputs.z && { z: cut(inputs.z) }),
      ...(inputs.resets && { resets: cut(inputs.resets) }),
      ...(inputs.initialState && { initialState: cut(inputs.initialState) }),
    },
  };
}

/** Floats of one sequence's state. */
export function stateSize(shape: ScanShape): number {
  return shape.channels * shape.dState * stateWidth(shape);
}

/** Gradients of a whole from those of its parts [0, cut) and [cut, length): per step joined, per parameter added. */
export function joinGradients(
  shape: ScanShape,
  first: ScanGradients,
  second: ScanGradients,
  cut: number,
): ScanGradients {
  const { batch, length } = shape;
  const perStep = (name: keyof ScanGradients): boolean =>
    ['u', 'delta', 'z'].includes(name) || (name === 'B' && shape.variableB) || (name === 'C' && shape.variableC);
  const entries = (Object.keys(first) as (keyof ScanGradients)[]).map((name) => {
    const before = first[name];
    const after = second[name];
    if (name === 'initialState' || before === undefined || after === undefined) return [name, before];
    if (!perStep(name)) return [name, before.map((value, index) => value + after[index])];
    const size = before.length / (batch * cut);
    const joined = new Float32Array(batch * length * size);
    for (let b = 0; b < batch; b++) {
      joined.set(before.subarray(b * cut * size, (b + 1) * cut * size), b * length * size);
      joined.set(after.subarray(b * (length - cut) * size, (b + 1) * (length - cut) * size), (b * length + cut) * size);
    }
    return [name, joined];
  });
  return Object.fromEntries(entries) as ScanGradients;
}
