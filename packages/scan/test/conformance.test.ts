// The suite itself: it must fail implementations that are wrong in the ways implementations are wrong.
import { describe, expect, it } from 'vitest';
import { ScanRuntime, type ScanInputs } from '@mamba-ts/scan';
import {
  type ScanImplementation,
  type ScanTestOptions,
  scanCaseData,
  scanCases,
  testScan,
} from '@mamba-ts/scan/conformance';

const runtime = new ScanRuntime();
const right: Required<ScanImplementation> = {
  forward: (shape, inputs, options) => runtime.forward(shape, inputs, options),
  backward: (shape, inputs, gradients, options) => runtime.backward(shape, inputs, gradients, options),
  stateUpdate: (shape, { initialState, ...inputs }, options) => {
    const lastState = Float32Array.from(initialState ?? []);
    return { y: runtime.stateUpdate(shape, lastState, inputs, options), lastState };
  },
};

/** Runs the suite without a test runner; returns the groups in which something failed, and what was skipped. */
async function failures(
  implementation: ScanImplementation,
  options?: ScanTestOptions,
): Promise<{ failed: Set<string>; skipped: string[] }> {
  const tests: { group: string; body: () => void | Promise<void> }[] = [];
  const skipped: string[] = [];
  let group = '';
  const hooks = {
    describe: (name: string, body: () => void): void => {
      group = name;
      body();
    },
    it: Object.assign((_: string, body: () => void | Promise<void>): void => void tests.push({ group, body }), {
      skip: (name: string): void => void skipped.push(name),
    }),
  };
  testScan(hooks, 'candidate', () => implementation, options);
  const failed = new Set<string>();
  for (const test of tests) {
    try {
      await test.body();
    } catch {
      failed.add(test.group);
    }
  }
  return { failed, skipped };
}

describe('the conformance suite', () => {
  it('passes a right implementation', async () => {
    expect(await failures(right)).toEqual({ failed: new Set(), skipped: [] });
  });

  const forwardWith = (change: (inputs: ScanInputs) => ScanInputs): ScanImplementation => ({
    ...right,
    forward: (shape, inputs, options) => runtime.forward(shape, change(inputs), options),
  });
  let runs = 0;
  it.each<[string, ScanImplementation, string[]]>([
    [
      'ignores resets',
      forwardWith((inputs) => ({ ...inputs, resets: undefined })),
      ['y and last state', 'resets separate sequences', 'a scan is its steps'],
    ],
    [
      'ignores the initial state',
      forwardWith((inputs) => ({ ...inputs, initialState: undefined })),
      ['y and last state', 'a scan is its chunks'],
    ],
    ['leaves the gate out', forwardWith((inputs) => ({ ...inputs, z: undefined })), ['y and last state']],
    [
      'ignores softplus',
      { ...right, forward: (shape, inputs) => runtime.forward(shape, inputs, {}) },
      ['y and last state'],
    ],
    [
      'looks ahead',
      forwardWith((inputs) => ({ ...inputs, u: inputs.u.map((value, i, all) => value + 1e-6 * (all[i + 1] ?? 0)) })),
      ['a step does not see later ones'],
    ],
    [
      'lets no gradient through the last state',
      { ...right, backward: (shape, inputs, { y }, options) => runtime.backward(shape, inputs, { y }, options) },
      ['gradients', 'gradients flow through chunks'],
    ],
    [
      'lets gradients through resets',
      {
        ...right,
        backward: (shape, inputs, gradients, options) =>
          runtime.backward(shape, { ...inputs, resets: undefined }, gradients, options),
      },
      ['gradients'],
    ],
    [
      'gives other bits each time',
      {
        ...right,
        backward: (shape, inputs, gradients, options) => {
          const all = runtime.backward(shape, inputs, gradients, options);
          all.A[0] *= 1 + ++runs * 1e-7;
          return all;
        },
      },
      ['backward gives the same bits again'],
    ],
    [
      'steps without D',
      {
        ...right,
        stateUpdate: (shape, inputs, options) => right.stateUpdate(shape, { ...inputs, D: undefined }, options),
      },
      ['a scan is its steps'],
    ],
    ['has no backward and does not say so', { forward: right.forward, stateUpdate: right.stateUpdate }, ['gradients']],
  ])('fails one that %s', async (_, implementation, groups) => {
    const { failed } = await failures(implementation);
    for (const group of groups) expect(failed).toContain(group);
  });

  it('lists what an implementation leaves out', async () => {
    const { failed, skipped } = await failures(
      { forward: right.forward, stateUpdate: right.stateUpdate },
      {
        unsupported: ({ shape }, part) =>
          part === 'backward' ? 'no backward yet' : shape.complex ? 'real only' : undefined,
      },
    );
    expect(failed).toEqual(new Set());
    expect(skipped.filter((name) => name.endsWith('(no backward yet)')).length).toBeGreaterThan(scanCases.length);
    expect(skipped.filter((name) => name.endsWith('(real only)')).length).toBeGreaterThan(50);
  });
});

describe('the grid', () => {
  it('covers the contract', () => {
    expect(new Set(scanCases.map(({ name }) => name)).size).toBe(scanCases.length);
    expect(new Set(scanCases.map(({ shape }) => shape.dState))).toEqual(new Set([1, 2, 3, 4, 5, 8, 16, 64, 256]));
    for (const complex of [true, false]) {
      const cases = scanCases.filter(({ shape }) => shape.complex === complex);
      expect(cases.some(({ shape, features }) => shape.length === 1 && features.initialState)).toBe(true);
      expect(cases.some(({ shape }) => shape.groups === shape.channels)).toBe(true);
    }
  });
  it('has the same data everywhere', () => {
    const { inputs } = scanCaseData(scanCases[0]);
    expect(scanCaseData(scanCases[0]).inputs).toEqual(inputs);
    expect([...inputs.u.slice(0, 3)]).toMatchInlineSnapshot(`
      [
        0.19646963477134705,
        0.5278352499008179,
        -0.811840295791626,
      ]
    `);
  });
});
