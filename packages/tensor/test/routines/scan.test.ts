import { expect, it } from 'vitest';
import { selectiveScan, selectiveScanBackward, stateUpdate } from '../../src/cpu/routines/selective-scan';
import { referenceRoutines } from '../../src/reference/routines';
import type { TensorSpec } from '../../src/compile/program';
import { complaints, f32, i32, kernelMachine, largestError, Noise, reference, routineCall, variants } from './harness';

interface Case {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly dState: number;
  readonly groups?: number;
  readonly complex?: boolean;
  readonly variableB?: boolean;
  readonly variableC?: boolean;
  readonly deltaSoftplus?: boolean;
  /** D, z, deltaBias, initialState, resets and the last state's gradient. */
  readonly optional?: boolean;
}

const cases: Case[] = [
  { batch: 2, length: 65, channels: 20, dState: 16 },
  { batch: 1, length: 1, channels: 3, dState: 1 },
  { batch: 2, length: 130, channels: 12, dState: 5, groups: 2, deltaSoftplus: true, optional: true },
  { batch: 3, length: 17, channels: 33, dState: 4, variableB: false, optional: true },
  { batch: 2, length: 40, channels: 6, dState: 3, complex: true, variableC: false, optional: true },
  { batch: 1, length: 9, channels: 17, dState: 16, variableB: false, variableC: false, deltaSoftplus: true },
];

function operands(c: Case, steps: readonly number[]) {
  const { batch, channels, dState, groups = 1, complex = false, variableB = true, variableC = true } = c;
  const noise = new Noise(c.length + channels * 3 + dState);
  const pair = complex ? [2] : [];
  const shapes = {
    u: [...steps, channels],
    delta: [...steps, channels],
    A: [channels, dState, ...pair],
    B: variableB ? [...steps, groups, dState, ...pair] : [channels, dState, ...pair],
    C: variableC ? [...steps, groups, dState, ...pair] : [channels, dState, ...pair],
    D: c.optional ? [channels] : null,
    z: c.optional ? [...steps, channels] : null,
    deltaBias: c.optional ? [channels] : null,
    state: [batch, channels, dState, ...pair],
  };
  const names = Object.keys(shapes) as (keyof typeof shapes)[];
  const values = names.map((name) => {
    const shape = shapes[name];
    if (!shape) return null;
    const raw = noise.floats(shape.reduce((x, y) => x * y, 1));
    // Positive steps: the states decay.
    if (name === 'delta' || name === 'deltaBias') return raw.map((x) => 0.3 * Math.abs(x));
    return name === 'A' ? raw.map((x, i) => (complex && i % 2 === 1 ? 3 * x : -Math.abs(x) - 0.1)) : raw;
  });
  const specs = names.map((name): TensorSpec | null => (shapes[name] ? f32(...shapes[name]) : null));
  const attributes = { groups, complex, variableB, variableC, deltaSoftplus: c.deltaSoftplus ?? false };
  return { specs, values, attributes, noise };
}

it.each(cases)('scans forward and backward like the reference: %o', (c) => {
  const { specs, values, attributes, noise } = operands(c, [c.batch, c.length]);
  const state = specs[8] as TensorSpec;
  const resets = c.optional
    ? Int32Array.from({ length: c.batch * c.length }, () => Number(noise.integer(9) === 0))
    : null;
  const inputs = [...values.slice(0, 8), c.optional ? values[8] : null, resets];
  const inputSpecs = [...specs.slice(0, 8), c.optional ? state : null, resets ? i32(c.batch, c.length) : null];
  const y = specs[0] as TensorSpec;
  const forward = routineCall('selectiveScan', inputSpecs, [y, state], attributes);
  expect(complaints(selectiveScan, referenceRoutines.selectiveScan, forward, inputs, { tolerance: 2e-5 })).toEqual([]);

  const gradY = noise.floats(c.batch * c.length * c.channels);
  const gradState = c.optional ? noise.floats((values[8] as Float32Array).length) : null;
  const outputs = inputSpecs.slice(0, 9).map((spec) => spec ?? f32(0));
  const backward = routineCall(
    'selectiveScanBackward',
    [y, gradState ? state : null, ...inputSpecs],
    outputs,
    attributes,
  );
  const oracle = referenceRoutines.selectiveScanBackward;
  const above = [gradY, gradState, ...inputs];
  expect(complaints(selectiveScanBackward, oracle, backward, above, { tolerance: 3e-4 })).toEqual([]);
});

it.each(cases)('makes one step like the reference, in place too: %o', (c) => {
  const { specs, values, attributes } = operands(c, [c.batch]);
  const state = specs[8] as TensorSpec;
  const inputs = [values[8], ...values.slice(0, 8)];
  const call = routineCall('stateUpdate', [state, ...specs.slice(0, 8)], [specs[0] as TensorSpec, state], attributes);
  expect(complaints(stateUpdate, referenceRoutines.stateUpdate, call, inputs, { tolerance: 1e-5 })).toEqual([]);
  const expected = reference(referenceRoutines.stateUpdate, call, inputs);
  for (const variant of variants) {
    for (const threads of [1, 3]) {
      const { outputs } = kernelMachine(variant).run(stateUpdate, call, inputs, threads, false, { 1: 0 });
      outputs.forEach((output, i) => expect(largestError(output, expected[i])).toBeLessThan(1e-5));
    }
  }
});
