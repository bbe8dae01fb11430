import { compile, cpu, type Device, RandomGenerator, type Tensor, variable } from '@mamba-ts/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { H3SSM, S4, S4D, type SequenceLayer, ShiftSSM } from '../src/index';
import { disposeEmpty } from './harness';

/** What a compiled step does for a sample: the discretisation is not part of it. */
describe('a compiled step', () => {
  let device: Device;
  let random: RandomGenerator;
  beforeAll(async () => {
    device = await cpu({ threads: 1 });
    random = new RandomGenerator(1, device);
  });
  afterAll(() => {
    random.dispose();
    disposeEmpty(device);
  });

  type Made = SequenceLayer & { dispose(): void };
  it.each<[string, () => Made, number]>([
    ['S4', () => new S4({ dModel: 4, dState: 8 }, random), 6],
    ['S4 with C̃', () => new S4({ dModel: 4, dState: 8, kernelLength: 16 }, random), 6],
    ['S4D', () => new S4D({ dModel: 4, dState: 8 }, random), 2],
    ['H3SSM', () => new H3SSM({ dModel: 4, dState: 8 }, random), 2],
    ['ShiftSSM', () => new ShiftSSM({ dModel: 4, dState: 8 }, random), 3],
  ])('of %s keeps what hangs on the parameters alone, until they change', async (_name, make, parts) => {
    const layer = make();
    const x = random.normal([2, 4]);
    const initial = Object.entries(layer.initialState(2));
    const state = Object.fromEntries(initial.map(([name, t]) => [name, variable(t)]));
    const step = compile((): Tensor => {
      const [y, next] = layer.step(x, state);
      for (const [name, v] of Object.entries(state)) v.assign(next[name]);
      return y;
    });
    const first = Array.from(await step().data());
    const [report] = step.explain();
    expect(report.kernels + report.routines).toBeLessThanOrEqual(parts);
    // From the same state with another C: what is kept is made anew.
    for (const v of Object.values(state)) v.write(new Float32Array(v.size));
    const [, C] = [...(layer as unknown as S4).parameters()].find(([path]) => path.endsWith('C')) as [
      string,
      typeof state.x,
    ];
    C.write(Float32Array.from(C.dataSync(), (v) => v + 1));
    expect(Array.from(await step().data())).not.toEqual(first);
    for (const used of [step, x, layer, ...initial.map(([, t]) => t), ...Object.values(state)]) used.dispose();
  });
});
