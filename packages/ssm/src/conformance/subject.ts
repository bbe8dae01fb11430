import { Module } from '@mamba-ts/nn';
import {
  compile,
  type Device,
  type MemoryUse,
  RandomGenerator,
  realize,
  scope,
  Tensor,
  tensor,
  type Variable,
  variable,
} from '@mamba-ts/tensor';
import type { LayerState, SequenceLayer } from '../sequence-layer';
import { expectClose, expectSame, randomSource } from './assertions';

/** Registers one test on the subject; its memory must be back when it ends. */
export type Test = (title: string, body: (subject: Subject) => Promise<void>) => void;

export type TestedLayer = Module & SequenceLayer;
/** Makes the layer under test, initialised from `random` and on its device. */
export type LayerFactory = (random: RandomGenerator) => TestedLayer;

/** A state on the host: what a checkpoint of it would hold. */
export type SavedState = Readonly<
  Record<string, { readonly shape: readonly number[]; readonly values: ArrayLike<number> }>
>;

/** One layer on one device, with random inputs; every run gives its memory back. */
export class Subject {
  readonly layer: TestedLayer;
  private readonly random: () => number;

  constructor(
    readonly device: Device,
    factory: LayerFactory,
    /** Largest relative error that counts as equal. */
    readonly tolerance: number,
    seed = 1,
  ) {
    const generator = new RandomGenerator(seed, device);
    try {
      this.layer = factory(generator);
    } finally {
      generator.dispose();
    }
    this.random = randomSource(seed);
  }

  get dModel(): number {
    return this.layer.dModel;
  }

  uniform(): number {
    return this.random();
  }

  /** Random numbers as a tensor: call it inside `run`. */
  values(...shape: readonly number[]): Tensor {
    const count = shape.reduce((a, b) => a * b, 1);
    return this.upload(
      shape,
      Float32Array.from({ length: count }, () => 3 * this.random() - 1.5),
    );
  }

  upload(shape: readonly number[], values: ArrayLike<number>): Tensor {
    return tensor(Float64Array.from(values), { shape, device: this.device });
  }

  /** The tensors that `body` returns, computed in one program. */
  async run(body: () => Tensor | readonly Tensor[]): Promise<Float64Array[]> {
    const results = scope(() => {
      const made = body();
      // A sum keeps the result apart from tensors that outlive the scope.
      const list = (made instanceof Tensor ? [made] : made).map((t) => t.add(0));
      realize(...list);
      return list;
    });
    const values: Float64Array[] = [];
    for (const t of results) {
      values.push(Float64Array.from(await t.data()));
      t.dispose();
    }
    return values;
  }

  /** Runs `body` and expects its two tensors to agree. */
  async expectEqual(
    what: string,
    body: () => readonly [actual: Tensor, expected: Tensor],
    tolerance: number = this.tolerance,
  ): Promise<void> {
    const [actual, expected] = await this.run(body);
    expectClose(what, actual, expected, tolerance);
  }

  /** forward by repeated `step`; the outputs (batch, length, dModel) and the last state. */
  steps(x: Tensor, state: LayerState, gate?: Tensor): [Tensor[], LayerState] {
    const outputs: Tensor[] = [];
    for (let t = 0; t < x.shape[1]; t++) {
      const at = (v: Tensor): Tensor => v.slice(1, t, t + 1).squeeze(1);
      const [y, next] = this.layer.step(at(x), state, gate ? { gate: at(gate) } : {});
      outputs.push(y.unsqueeze(1));
      state = next;
    }
    return [outputs, state];
  }

  /**
   * The outputs of one step a sample of x, (batch, length, dModel) row-major, from the initial state: by a compiled step with the
   * state in variables, or, where the state grows, one by one.
   */
  async runSteps(shape: readonly [number, number, number], x: ArrayLike<number>): Promise<Float64Array> {
    const [batch, length, width] = shape;
    const y = new Float64Array(batch * length * width);
    const sample = (t: number): Float64Array =>
      Float64Array.from(
        { length: batch * width },
        (_, i) => x[(Math.floor(i / width) * length + t) * width + (i % width)],
      );
    const keep = (t: number, values: ArrayLike<number>): void => {
      for (let i = 0; i < batch * width; i++) y[(Math.floor(i / width) * length + t) * width + (i % width)] = values[i];
    };
    const initial = this.layer.initialState(batch);
    const first = this.upload([batch, width], sample(0));
    const input = variable(first);
    first.dispose();
    const state: Record<string, Variable> = {};
    for (const [name, t] of Object.entries(initial)) state[name] = variable(t);
    for (const t of Object.values(initial)) t.dispose();
    const constant = this.layer.constantState;
    const step = constant ? compile(() => this.assignStep(input, state)) : null;
    for (let t = 0; t < length; t++) {
      input.write(sample(t));
      if (step) {
        keep(t, Float64Array.from(await step().data()));
        continue;
      }
      const names = Object.keys(state);
      const [values, next] = scope(() => {
        const [out, after] = this.layer.step(input, state);
        const kept = [out.add(0), ...names.map((name) => variable(after[name]))] as const;
        realize(kept[0]);
        return [kept[0], kept.slice(1) as Variable[]] as const;
      });
      names.forEach((name, i) => {
        state[name].dispose();
        state[name] = next[i];
      });
      keep(t, Float64Array.from(await values.data()));
      values.dispose();
    }
    step?.dispose();
    for (const v of [input, ...Object.values(state)]) v.dispose();
    return y;
  }

  private assignStep(input: Tensor, state: Readonly<Record<string, Variable>>): Tensor {
    const [y, next] = this.layer.step(input, state);
    for (const [name, v] of Object.entries(state)) v.assign(next[name]);
    return y;
  }

  /** Fails if `body` leaves buffers or bytes behind. */
  async keepsMemory(body: () => Promise<void>): Promise<void> {
    const before = this.device.memory();
    await body();
    expectMemory(this.device, before);
  }

  async saveState(make: () => LayerState): Promise<SavedState> {
    let shapes: [string, readonly number[]][] = [];
    const values = await this.run(() => {
      const state = make();
      shapes = Object.entries(state).map(([name, t]) => [name, t.shape]);
      return Object.values(state);
    });
    return Object.fromEntries(shapes.map(([name, shape], i) => [name, { shape, values: Array.from(values[i]) }]));
  }

  restoreState(saved: SavedState): LayerState {
    return Object.fromEntries(
      Object.entries(saved).map(([name, { shape, values }]) => [name, this.upload(shape, values)]),
    );
  }

  /** Parameters of this layer, by path. */
  async parameterValues(): Promise<Map<string, Float64Array>> {
    const values = new Map<string, Float64Array>();
    for (const [path, v] of this.layer.stateDict()) values.set(path, Float64Array.from(await v.data()));
    return values;
  }

  setParameters(values: ReadonlyMap<string, Float64Array>): void {
    for (const [path, v] of this.layer.stateDict()) {
      const numbers = values.get(path) as Float64Array;
      v.write(v.dtype === 'int32' ? Int32Array.from(numbers) : numbers);
    }
  }

  dispose(): void {
    this.layer.dispose();
  }

  /** A variable that starts with random numbers. */
  variable(...shape: readonly number[]): ReturnType<typeof variable> {
    const initial = this.values(...shape);
    const v = variable(initial);
    initial.dispose();
    return v;
  }
}

/** Fails unless the device holds what it held. */
export function expectMemory(device: Device, before: Pick<MemoryUse, 'buffers' | 'bytes'>): void {
  const { buffers, bytes } = device.memory();
  expectSame('device memory', { buffers, bytes }, { buffers: before.buffers, bytes: before.bytes });
}
