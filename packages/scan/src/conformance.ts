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
import type { TestHooks } from './check-list';
import { expectClose, expectSameBits } from './closeness';
import { type ScanCase, scanCaseData, scanCases, uniformSource } from './grid';
import { selectiveScanReference } from './reference';
import { selectiveScanBackwardReference } from './reference-backward';
import { type ScanPart, joinGradients, sliceBatch, sliceSteps, sliceTime, stateSize } from './time-slices';

export { type Check, type TestHooks, listChecks, runChecks } from './check-list';
export { expectClose, expectSameBits } from './closeness';
export { checkRecordedCase, readRecordedCase, type RecordedCase } from './recorded-case';
export { type ScanCase, type ScanCaseData, type ScanFeatures, scanCaseData, scanCases, uniformSource } from './grid';
export { type ScanStorage, compareStored, everyFeature, float32Storage } from './stored-reference';

/** What is tested. Results may be promises; arrays are float32. What is missing must be named in `unsupported`. */
export interface ScanImplementation {
  forward(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): ScanOutput | Promise<ScanOutput>;
  /** Gradients of all inputs that are present. */
  backward?(
    shape: ScanShape,
    inputs: ScanInputs,
    gradients: ScanOutputGradients,
    options: ScanOptions,
  ): ScanGradients | Promise<ScanGradients>;
  /** One step: y and the state after it, from the state before it in `inputs.initialState`. */
  stateUpdate?(shape: ScanShape, inputs: ScanInputs, options: ScanOptions): ScanOutput | Promise<ScanOutput>;
}

export interface ScanTestOptions {
  /**
   * Largest difference from the reference, relative to a tensor's norm; single elements may differ by ten times as
   * much of the largest one. Defaults: 1e-5 forward, 1e-4 backward.
   */
  readonly tolerance?: { readonly forward?: number; readonly backward?: number };
  /** A reason to leave a case out of one part; it is listed as skipped with that reason. */
  readonly unsupported?: (scanCase: ScanCase, part: keyof ScanImplementation) => string | undefined;
}

/** Cases that the relations between whole and parts are tried on. */
const relationCases = scanCases.filter(({ shape, seed }) => shape.length > 8 && shape.dState <= 16 && seed % 3 === 0);

function expectGradients(actual: ScanGradients, expected: ScanGradients<FloatArray>, tolerance: number): void {
  for (const name of Object.keys(expected) as (keyof ScanGradients)[]) {
    const value = expected[name];
    if (value !== undefined) expectClose(`gradient of ${name}`, actual[name] ?? new Float32Array(), value, tolerance);
  }
}

interface Tolerance {
  readonly forward: number;
  readonly backward: number;
}

type ScanCheck = (scan: Required<ScanImplementation>, scanCase: ScanCase, tolerance: Tolerance) => Promise<void>;

const withResets = relationCases.map((scanCase) => ({ ...scanCase, features: { ...scanCase.features, resets: true } }));

/** The suite: what is checked, on which cases, with which parts of an implementation. */
const checks: readonly [
  name: string,
  cases: readonly ScanCase[],
  parts: readonly (keyof ScanImplementation)[],
  check: ScanCheck,
][] = [
  ['y and last state', scanCases, ['forward'], matchesReference],
  ['gradients', scanCases, ['backward'], matchesReferenceGradients],
  ['a scan is its steps', relationCases, ['forward', 'stateUpdate'], scanEqualsSteps],
  ['a scan is its chunks', relationCases, ['forward'], scanEqualsChunks],
  ['gradients flow through chunks', relationCases, ['forward', 'backward'], gradientsFlowThroughChunks],
  ['resets separate sequences', withResets, ['forward'], resetsSeparate],
  ['a step does not see later ones', relationCases, ['forward'], isCausal],
  ['forward gives the same bits again', relationCases, ['forward'], repeatsForward],
  ['backward gives the same bits again', relationCases, ['backward'], repeatsBackward],
];

/**
 * Registers the suite with a test runner: every case of the grid against the float64 reference (y, last state, all
 * gradients), a scan against its steps and its chunks, resets against separate sequences, causality, and the same bits
 * from run to run. `make` is called once per test.
 */
export function testScan(
  { describe, it }: TestHooks,
  name: string,
  make: () => ScanImplementation | Promise<ScanImplementation>,
  options: ScanTestOptions = {},
): void {
  const tolerance = { forward: 1e-5, backward: 1e-4, ...options.tolerance };
  describe(`${name}: selective scan contract`, () => {
    for (const [title, cases, parts, check] of checks) {
      describe(title, () => {
        for (const scanCase of cases) {
          const reason = parts.map((part) => options.unsupported?.(scanCase, part)).find((text) => text !== undefined);
          const body = async (): Promise<void> => {
            const scan = await make();
            const missing = parts.find((part) => scan[part] === undefined);
            if (missing !== undefined) throw new Error(`${name} has no ${missing}, and does not say so in unsupported`);
            await check(scan as Required<ScanImplementation>, scanCase, tolerance);
          };
          if (reason === undefined) it(scanCase.name, body);
          else it.skip(`${scanCase.name} (${reason})`, body);
        }
      });
    }
  });
}

async function matchesReference(scan: ScanImplementation, scanCase: ScanCase, tolerance: Tolerance): Promise<void> {
  const { inputs, options } = scanCaseData(scanCase);
  const expected = selectiveScanReference(scanCase.shape, inputs, options);
  const actual = await scan.forward(scanCase.shape, inputs, options);
  expectClose('y', actual.y, expected.y, tolerance.forward);
  expectClose('last state', actual.lastState, expected.lastState, tolerance.forward);
}

async function matchesReferenceGradients(
  scan: Required<ScanImplementation>,
  scanCase: ScanCase,
  tolerance: Tolerance,
): Promise<void> {
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const expected = selectiveScanBackwardReference(scanCase.shape, inputs, gradients, options);
  expectGradients(await scan.backward(scanCase.shape, inputs, gradients, options), expected, tolerance.backward);
}

async function scanEqualsSteps(
  scan: Required<ScanImplementation>,
  scanCase: ScanCase,
  tolerance: Tolerance,
): Promise<void> {
  const { shape } = scanCase;
  const { inputs, options } = scanCaseData(scanCase);
  const whole = await scan.forward(shape, inputs, options);
  let state = inputs.initialState ?? new Float32Array(shape.batch * stateSize(shape));
  for (let t = 0; t < shape.length; t++) {
    const step = sliceTime(shape, inputs, t, t + 1, state);
    const { y, lastState } = await scan.stateUpdate(step.shape, step.inputs, options);
    expectClose(`y of step ${t}`, y, sliceSteps(whole.y, shape, t, t + 1), 10 * tolerance.forward);
    state = lastState;
  }
  expectClose('state after the last step', state, whole.lastState, tolerance.forward);
}

/** A case cut in two at a random step, the state carried over. */
async function cutInTwo(
  scan: ScanImplementation,
  { shape, seed }: ScanCase,
  inputs: ScanInputs,
  options: ScanOptions,
): Promise<{ cut: number; first: ScanPart; second: ScanPart; before: ScanOutput }> {
  const start = inputs.initialState ?? new Float32Array(shape.batch * stateSize(shape));
  const cut = 1 + Math.floor(uniformSource(seed)() * (shape.length - 1));
  const first = sliceTime(shape, inputs, 0, cut, start);
  const before = await scan.forward(first.shape, first.inputs, options);
  return { cut, first, second: sliceTime(shape, inputs, cut, shape.length, before.lastState), before };
}

async function scanEqualsChunks(scan: ScanImplementation, scanCase: ScanCase, tolerance: Tolerance): Promise<void> {
  const { shape } = scanCase;
  const { inputs, options } = scanCaseData(scanCase);
  const { cut, second, before } = await cutInTwo(scan, scanCase, inputs, options);
  const after = await scan.forward(second.shape, second.inputs, options);
  const whole = await scan.forward(shape, inputs, options);
  expectClose(`y before step ${cut}`, before.y, sliceSteps(whole.y, shape, 0, cut), tolerance.forward);
  expectClose(`y from step ${cut} on`, after.y, sliceSteps(whole.y, shape, cut, shape.length), tolerance.forward);
  expectClose('last state', after.lastState, whole.lastState, tolerance.forward);
}

async function gradientsFlowThroughChunks(
  scan: Required<ScanImplementation>,
  scanCase: ScanCase,
  tolerance: Tolerance,
): Promise<void> {
  const { shape } = scanCase;
  const { inputs, options, gradients } = scanCaseData(scanCase);
  const { cut, first, second } = await cutInTwo(scan, scanCase, inputs, options);
  const yOf = (from: number, to: number): Float32Array => sliceSteps(gradients.y, shape, from, to);
  const last = gradients.lastState && { lastState: gradients.lastState };
  const later = await scan.backward(second.shape, second.inputs, { y: yOf(cut, shape.length), ...last }, options);
  const carried = { y: yOf(0, cut), lastState: later.initialState };
  const earlier = await scan.backward(first.shape, first.inputs, carried, options);
  const whole = await scan.backward(shape, { ...inputs, initialState: first.inputs.initialState }, gradients, options);
  expectGradients(joinGradients(shape, earlier, later, cut), whole, tolerance.backward);
}

async function resetsSeparate(scan: ScanImplementation, scanCase: ScanCase, tolerance: Tolerance): Promise<void> {
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
      expectClose(`y of steps ${from} to ${to} of sequence ${b}`, there, y, tolerance.forward);
      state = lastState;
    }
    const size = stateSize(shape);
    expectClose(
      `last state of sequence ${b}`,
      packed.lastState.subarray(b * size, (b + 1) * size),
      state ?? new Float32Array(),
      tolerance.forward,
    );
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

async function repeatsForward(scan: ScanImplementation, { shape, ...scanCase }: ScanCase): Promise<void> {
  const { inputs, options } = scanCaseData({ shape, ...scanCase });
  const first = await scan.forward(shape, inputs, options);
  const second = await scan.forward(shape, inputs, options);
  expectSameBits('y', second.y, first.y);
  expectSameBits('last state', second.lastState, first.lastState);
}

async function repeatsBackward(scan: Required<ScanImplementation>, { shape, ...scanCase }: ScanCase): Promise<void> {
  const { inputs, options, gradients } = scanCaseData({ shape, ...scanCase });
  const first = await scan.backward(shape, inputs, gradients, options);
  const second = await scan.backward(shape, inputs, gradients, options);
  for (const name of Object.keys(first) as (keyof ScanGradients)[]) {
    expectSameBits(`gradient of ${name}`, second[name] ?? new Float32Array(), first[name] ?? new Float32Array());
  }
}
