import type { LayerState, SequenceLayer } from '@mamba-ts/ssm';
import { compile, realize, type Tensor, variable, type Variable } from '@mamba-ts/tensor';
import type { Values } from './fixture-case';
import { type ParityDevice, upload } from './parity-device';

/** What a layer gave and kept, sample by sample. */
export interface Steps {
  /** (batch, length, dModel) */
  readonly y: Float64Array;
  /** The state before the first sample, and after each: length + 1 of them. */
  readonly states: readonly Readonly<Record<string, Float64Array>>[];
}

/**
 * Runs a layer's recurrence on an input (batch, length, dModel), from `initial` or the layer's initial state. Its step is compiled
 * once and replayed; where the state grows, every step is run as it comes.
 */
export function runSteps(
  layer: SequenceLayer,
  on: ParityDevice,
  x: Pick<Values, 'data' | 'shape'>,
  initial?: LayerState,
): Steps {
  const [batch, length, width] = x.shape as [number, number, number];
  if (!layer.constantState) return runGrowing(layer, on, x);
  const start = Object.entries(initial ?? layer.initialState(batch));
  const state: Record<string, Variable> = Object.fromEntries(start.map(([name, value]) => [name, variable(value)]));
  const sample = variable(upload(on, { data: new Float64Array(batch * width), shape: [batch, width] }));
  const step = compile((): Tensor => {
    const [y, next] = layer.step(sample, state);
    for (const [name, kept] of Object.entries(state)) kept.assign(next[name]!);
    return y;
  });
  const read = (): Record<string, Float64Array> =>
    Object.fromEntries(Object.entries(state).map(([name, value]) => [name, Float64Array.from(value.dataSync())]));
  try {
    const y = new Float64Array(batch * length * width);
    const states = [read()];
    for (let t = 0; t < length; t++) {
      const place = (row: number): number => (row * length + t) * width;
      const now = new Float64Array(batch * width);
      for (let row = 0; row < batch; row++) now.set(x.data.subarray(place(row), place(row) + width), row * width);
      sample.write(now);
      const given = Float64Array.from(step().dataSync());
      for (let row = 0; row < batch; row++) y.set(given.subarray(row * width, (row + 1) * width), place(row));
      states.push(read());
    }
    return { y, states };
  } finally {
    step.dispose();
    for (const value of [sample, ...Object.values(state)]) value.dispose();
  }
}

/** A layer that keeps its history. */
function runGrowing(layer: SequenceLayer, on: ParityDevice, x: Pick<Values, 'data' | 'shape'>): Steps {
  const [batch, length, width] = x.shape as [number, number, number];
  const samples = upload(on, x);
  const y = new Float64Array(batch * length * width);
  const states: Record<string, Float64Array>[] = [];
  let state = layer.initialState(batch);
  const keep = (): void => {
    realize(...Object.values(state));
    const values = Object.entries(state).map(([name, value]) => [name, Float64Array.from(value.dataSync())] as const);
    states.push(Object.fromEntries(values));
  };
  keep();
  for (let t = 0; t < length; t++) {
    const [out, next] = layer.step(samples.slice(1, t, t + 1).squeeze(1), state);
    state = next;
    const given = out.dataSync();
    for (let row = 0; row < batch; row++)
      for (let c = 0; c < width; c++) y[(row * length + t) * width + c] = given[row * width + c]!;
    keep();
  }
  return { y, states };
}
