import { compile, type Tensor, type Variable, variable } from '@mamba-ts/tensor';
import {
  readSafetensors,
  type SafetensorsTensor,
  tensorFromFloats,
  toFloat64,
  writeSafetensors,
} from '@mamba-ts/nn/safetensors';
import type { LayerState } from '../sequence-layer';
import { expectClose, expectSame } from './assertions';
import type { SavedState, Test } from './subject';

/**
 * States are values: they can be kept, copied to the host and back, rolled back to, and updated in place by a compiled
 * step.
 */
export function testStates(test: Test): void {
  test('a state saved as JSON or safetensors and restored continues identically', async (s) => {
    const [x, rest] = await s.run(() => [s.values(2, 6, s.dModel), s.values(2, 4, s.dModel)]);
    const input = (): Tensor => s.upload([2, 6, s.dModel], x);
    const saved = await s.saveState(() => s.layer.prefill(input())[1]);
    const again = JSON.parse(JSON.stringify(saved)) as typeof saved;
    const continued = await s.run(() => s.steps(s.upload([2, 4, s.dModel], rest), s.restoreState(saved))[0]);
    const restored = await s.run(() => s.steps(s.upload([2, 4, s.dModel], rest), s.restoreState(again))[0]);
    expectSame('outputs', restored, continued);
    const file = readSafetensors(writeSafetensors(asTensors(saved))).tensors;
    const shapes = Object.entries(saved).map(([name, { shape }]) => [name, shape] as const);
    const fromFile = (): LayerState =>
      Object.fromEntries(
        shapes.map(([name, shape]) => [name, s.upload(shape, toFloat64(file.get(name) as SafetensorsTensor))]),
      );
    const reread = await s.run(() => s.steps(s.upload([2, 4, s.dModel], rest), fromFile())[0]);
    expectSame('outputs after safetensors', reread, continued);
    const straight = await s.run(() => s.steps(s.upload([2, 4, s.dModel], rest), s.layer.prefill(input())[1])[0]);
    straight.forEach((y, i) => expectClose(`step ${i}`, continued[i], y, s.tolerance));
  });

  test('a step leaves the state it was given: roll back and take another way', async (s) => {
    const [first, again] = await s.run(() => {
      const state = s.layer.prefill(s.values(2, 5, s.dModel))[1];
      const x = s.values(2, s.dModel);
      const before = s.layer.step(x, state)[0];
      let other: LayerState = state;
      for (let i = 0; i < 3; i++) other = s.layer.step(s.values(2, s.dModel), other)[1];
      return [before, s.layer.step(x, state)[0]];
    });
    expectSame('the same step again', again, first);
  });

  test('a compiled step with the state in variables equals eager steps', async (s) => {
    if (!s.layer.constantState) return;
    const length = 5;
    const [xs] = await s.run(() => s.values(length, 2, s.dModel));
    const at = (t: number): Float64Array => xs.slice(t * 2 * s.dModel, (t + 1) * 2 * s.dModel);
    const expected = await s.run(
      () => s.steps(s.upload([length, 2, s.dModel], xs).transpose(0, 1), s.layer.initialState(2))[0],
    );
    const variables: Record<string, Variable> = {};
    for (const [name, t] of Object.entries(s.layer.initialState(2))) {
      variables[name] = variable(t);
      t.dispose();
    }
    const step = compile((x: Tensor) => {
      const [y, next] = s.layer.step(x, variables);
      for (const [name, v] of Object.entries(variables)) v.assign(next[name]);
      return y;
    });
    for (let t = 0; t < length; t++) {
      const x = s.upload([2, s.dModel], at(t));
      expectClose(`compiled step ${t}`, Float64Array.from(await step(x).data()), expected[t], s.tolerance);
      x.dispose();
    }
    step.dispose();
    for (const v of Object.values(variables)) v.dispose();
  });
}

/** In float64: what float32 devices hold fits, too. */
function asTensors(saved: SavedState): Map<string, SafetensorsTensor> {
  return new Map(
    Object.entries(saved).map(([name, { shape, values }]) => [
      name,
      tensorFromFloats(Float64Array.from(values), shape, 'F64'),
    ]),
  );
}
