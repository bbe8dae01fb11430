// The suite that any implementation of the scan can be run against: `testScan({ describe, it }, 'my kernel', make)`.
import {
  type FloatArray,
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
} from './types';
import { type ScanCase, scanCaseData, scanCases, uniformSource } from './grid';
import { selectiveScanReference } from './reference';
import { selectiveScanBackwardReference } from './reference-backward';
import { type ScanPart, joinGradients, sliceBatch, sliceSteps, sliceTime, stateSize } from './time-slices';

export { type ScanCase, type ScanCaseData, type ScanFeatures, scanCaseData, scanCases, uniformSource } from './grid';

/** What is tested. Results may be promises; arrays are float32. */
export interface ScanImplementation {
  forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): ScanOutput | Promise<ScanOutput>;
  /** Gradients of all inputs that are present. Leave out what has no backward. */
  backward?(
    shape: ScanShape,
    inputs: ScanInputs,
    gradients: ScanOutputGradients,
    options: ScanOptions,
  ): ScanGradients | Promise<ScanGradients>;
  /** One step: y and the state after it, from the state before it in `inputs.initialState`. Leave out what has none. */
  stateUpdate?(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): ScanOutput | Promise<ScanOutput>;
  /** A reason to leave a case out; it is then listed as skipped under that reason. */
  unsupported?(scanCase: ScanCase): string | undefined;
}

/** What the suite needs of a test runner; vitest, jest and mocha have it under these names. */
export interface TestHooks {
  describe(name: string, body: () => void): void;
  it: {
    (name: string, body: () => void | Promise<void>): void;
    skip(name: string, body: () => void | Promise<void>): void;
  };
}

/** Largest difference relative to a tensor's norm; elements may differ by ten times as much of the largest one. */
export interface ScanTolerances {
  readonly forward?: number;
  readonly backward?: number;
}

/** Cases that the relations between whole and parts are tried on. */
const relationCases = scanCases.filter(({ shape, seed }) => shape.length > 8 && shape.dState <= 16 && seed % 3 === 0);

/** Numbers below this are as good as 0: what has decayed so far may underflow in float32. */
const negligible = 1e-25;

/** Throws unless `actual` is `expected` within `tolerance`, relative to the norm and to the largest element. */
export function expectClose(name: string, actual: FloatArray, expected: FloatArray, tolerance: number): void {
  if (actual.length !== expected.length) throw new Error(`${name} has ${actual.length} elements, expected ${expected.length}`);
  let difference = 0;
  let norm = 0;
  let largest = 0;
  let worst = 0;
  let at = 0;
  expected.forEach((value, index) => {
    const error = Math.abs(actual[index] - value);
    difference += error * error;
    norm += value * value;
    largest = Math.max(largest, Math.abs(value));
    if (!(error <= worst)) {
      worst = error;
      at = index;
    }
  });
  const relative = Math.sqrt(difference / norm);
  const fits = Math.sqrt(difference) <= tolerance * Math.sqrt(norm) + negligible && worst <= 10 * tolerance * largest + negligible;
  if (!fits) {
    const element = `element ${at} is ${actual[at]}, expected ${expected[at]}`;
    throw new Error(`${name}: relative difference ${relative.toExponential(2)}, expected at most ${tolerance}; ${element}`);
  }
}

/** Throws unless both arrays have the same bits (any NaN equals any NaN). */
export function expectSameBits(name: string, actual: Float32Array, expected: Float32Array): void {
  const at = expected.findIndex((value, index) => !Object.is(value, actual[index]));
  if (actual.length !== expected.length || at >= 0) {
    throw new Error(`${name}: element ${at} is ${actual[at]}, expected exactly ${expected[at]}`);
  }
}

function outputsOf({ y, lastState }: ScanOutput<FloatArray>): [string, FloatArray][] {
  return [['y', y], ['lastState', lastState]];
}

function expectOutput(actual: ScanOutput, expected: ScanOutput<FloatArray>, tolerance: number): void {
  const results = new Map(outputsOf(actual));
  for (const [name, value] of outputsOf(expected)) expectClose(name, results.get(name) ?? new Float32Array(), value, tolerance);
}

function expectGradients(actual: ScanGradients, expected: ScanGradients<FloatArray>, tolerance: number): void {
  for (const name of Object.keys(expected) as (keyof ScanGradients)[]) {
    const value = expected[name];
    if (value !== undefined) expectClose(`gradient of ${name}`, actual[name] ?? new Float32Array(), value, tolerance);
  }
}

/**
 * Registers the suite with a test runner: every case of the grid against the float64 reference (y, last state, all
 * gradients), a scan against its steps and its chunks, resets against separate sequences, causality, and the same bits
 * from run to run. `make` is called once per test.
 */
export function testScan(
  { describe, it }: TestHooks,
  name: string,
  make: () => ScanImplementation | Promise<ScanImplementation>,
  tolerances: ScanTolerances = {},
): void {
  const forwardTolerance = tolerances.forward ?? 1e-5;
  const backwardTolerance = tolerances.backward ?? 1e-4;
  /** One test per case; what an implementation leaves out is listed under its reason. */
  const forEachCase = (cases: readonly ScanCase[], body: (scan: ScanImplementation, scanCase: ScanCase) => Promise<void>): void => {
    for (const scanCase of cases) {
      it(scanCase.name, async () => {
        const scan = await make();
        if (scan.unsupported?.(scanCase) === undefined) await body(scan, scanCase);
      });
    }
  };

  describe(`${name}: selective scan contract`, () => {
    describe('y and last state', () => {
      forEachCase(scanCases, async (scan, scanCase) => {
        const { inputs, options } = scanCaseData(scanCase);
        const expected = selectiveScanReference(scanCase.shape, inputs, options);
        expectOutput(await scan.forward(scanCase.shape, inputs, options), expected, forwardTolerance);
      });
    });
    describe('gradients', () => {
      forEachCase(scanCases, async (scan, scanCase) => {
        if (scan.backward === undefined) return;
        const { inputs, options, gradients } = scanCaseData(scanCase);
        const expected = selectiveScanBackwardReference(scanCase.shape, inputs, gradients, options);
        expectGradients(await scan.backward(scanCase.shape, inputs, gradients, options), expected, backwardTolerance);
      });
    });
    describe('a scan is its steps', () => {
      forEachCase(relationCases, (scan, scanCase) => scanEqualsSteps(scan, scanCase, forwardTolerance));
    });
    describe('a scan is its chunks', () => {
      forEachCase(relationCases, (scan, scanCase) => scanEqualsChunks(scan, scanCase, forwardTolerance, backwardTolerance));
    });
    describe('resets separate sequences', () => {
      const cases = relationCases.map((scanCase) => ({ ...scanCase, features: { ...scanCase.features, resets: true } }));
      forEachCase(cases, (scan, scanCase) => resetsSeparate(scan, scanCase, forwardTolerance));
    });
    describe('a step does not see later ones', () => {
      forEachCase(relationCases, isCausal);
    });
    describe('same bits from run to run', () => {
      forEachCase(relationCases, repeats);
    });
  });
}

async function scanEqualsSteps(scan: ScanImplementation, scanCase: ScanCase, tolerance: number): Promise<void> {
  if (scan.stateUpdate === undefined) return;
  const { shape } = scanCase;
  const { inputs, options } = scanCaseData(scanCase);
  const whole = await scan.forward(shape, inputs, options);
  let state = inputs.initialState ?? new Float32Array(shape.batch * stateSize(shape));
  for (let t = 0; t < shape.length; t++) {
    const step = sliceTime(shape, inputs, t, t + 1, state);
    const { y, lastState } = await scan.stateUpdate(step.shape, step.inputs, options);
    expectClose(`y of step ${t}`, y, sliceSteps(whole.y, shape, t, t + 1), 10 * tolerance);
    state = lastState;
  }
  expectClose('state after the last step', state, whole.lastState, tolerance);
}

async function scanEqualsChunks(
  scan: ScanImplementation,
  scanCase: ScanCase,
  forwardTolerance: number,
  backwardTolerance: number,
): Promise<void> {
  const { shape, seed } = scanCase;
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const zeros = new Float32Array(shape.batch * stateSize(shape));
  const start = inputs.initialState ?? zeros;
  const cut = 1 + Math.floor(uniformSource(seed)() * (shape.length - 1));
  const first = sliceTime(shape, inputs, 0, cut, start);
  const before = await scan.forward(first.shape, first.inputs, options);
  const second = sliceTime(shape, inputs, cut, shape.length, before.lastState);
  const after = await scan.forward(second.shape, second.inputs, options);
  const whole = await scan.forward(shape, inputs, options);
  expectClose(`y before step ${cut}`, before.y, sliceSteps(whole.y, shape, 0, cut), forwardTolerance);
  expectClose(`y from step ${cut} on`, after.y, sliceSteps(whole.y, shape, cut, shape.length), forwardTolerance);
  expectClose('last state', after.lastState, whole.lastState, forwardTolerance);
  if (scan.backward === undefined) return;
  const yOf = (from: number, to: number): Float32Array => sliceSteps(gradients.y, shape, from, to);
  const later = await scan.backward(
    second.shape,
    second.inputs,
    { y: yOf(cut, shape.length), lastState: gradients.lastState ?? zeros },
    options,
  );
  const carried = { y: yOf(0, cut), lastState: later.initialState ?? zeros };
  const earlier = await scan.backward(first.shape, first.inputs, carried, options);
  const joined = joinGradients(shape, earlier, later, cut);
  const all = { ...inputs, initialState: start };
  expectGradients(joined, await scan.backward(shape, all, gradients, options), backwardTolerance);
}

async function resetsSeparate(scan: ScanImplementation, scanCase: ScanCase, tolerance: number): Promise<void> {
  const { shape } = scanCase;
  const { inputs, options } = scanCaseData(scanCase);
  const packed = await scan.forward(shape, inputs, options);
  for (let b = 0; b < shape.batch; b++) {
    const { resets, ...rest } = sliceBatch(shape, inputs, b).inputs;
    const one = { ...shape, batch: 1 };
    const starts = [0];
    resets?.forEach((value, t) => void (value !== 0 && t > 0 && starts.push(t)));
    let state: Float32Array | undefined;
    for (const [index, from] of starts.entries()) {
      const to = starts[index + 1] ?? shape.length;
      const initial = from === 0 && resets?.[0] === 0 ? rest.initialState : undefined;
      const part: ScanPart = sliceTime(one, rest, from, to, initial);
      const { y, lastState } = await scan.forward(part.shape, part.inputs, options);
      const size = shape.channels;
      const there = packed.y.subarray((b * shape.length + from) * size, (b * shape.length + to) * size);
      expectClose(`y of steps ${from} to ${to} of sequence ${b}`, there, y, tolerance);
      state = lastState;
    }
    const size = stateSize(shape);
    expectClose(`last state of sequence ${b}`, packed.lastState.subarray(b * size, (b + 1) * size), state ?? new Float32Array(), tolerance);
  }
}

async function isCausal(scan: ScanImplementation, scanCase: ScanCase): Promise<void> {
  const { shape, seed } = scanCase;
  const { inputs, options } = scanCaseData(scanCase);
  const uniform = uniformSource(seed + 1);
  const cut = 1 + Math.floor(uniform() * (shape.length - 1));
  const change = (values: Float32Array): Float32Array => {
    const size = values.length / (shape.batch * shape.length);
    return values.map((value, index) => (Math.floor(index / size) % shape.length >= cut ? value + uniform() : value));
  };
  const changed: ScanInputs = {
    ...inputs,
    ...{ u: change(inputs.u), delta: change(inputs.delta) },
    B: shape.variableB ? change(inputs.B) : inputs.B,
    C: shape.variableC ? change(inputs.C) : inputs.C,
    ...(inputs.z && { z: change(inputs.z) }),
  };
  const before = await scan.forward(shape, inputs, options);
  const after = await scan.forward(shape, changed, options);
  const head = (output: ScanOutput): Float32Array => sliceSteps(output.y, shape, 0, cut);
  expectSameBits(`y before step ${cut}`, head(after), head(before));
  if (after.y.every((value, index) => Object.is(value, before.y[index]))) {
    throw new Error(`y: nothing changed from step ${cut} on, expected later inputs to matter`);
  }
}

async function repeats(scan: ScanImplementation, scanCase: ScanCase): Promise<void> {
  const { shape } = scanCase;
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const first = await scan.forward(shape, inputs, options);
  const second = await scan.forward(shape, inputs, options);
  expectSameBits('y', second.y, first.y);
  expectSameBits('last state', second.lastState, first.lastState);
  const before = await scan.backward?.(shape, inputs, gradients, options);
  const after = await scan.backward?.(shape, inputs, gradients, options);
  for (const name of Object.keys(before ?? {}) as (keyof ScanGradients)[]) {
    expectSameBits(`gradient of ${name}`, after?.[name] ?? new Float32Array(), before?.[name] ?? new Float32Array());
  }
}
