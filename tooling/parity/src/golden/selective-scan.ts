import type { ScanInputs, ScanShape } from '@mamba-ts/scan';
import type { Result } from '../family';
import type { ParityDevice } from '../parity-device';
import { referenceScan, type ScanProblem } from '../scan/implementations';
import { permute, variableToChannelLast } from '../scan/layout';
import { agreement, type GoldenCase, type GoldenChecker, type NestedNumbers } from './golden-case';
import { checkHold } from './zero-order-hold';

/** Section 5 of the index: the selective scan, through the float64 reference of @mamba-ts/scan. */
export const selectiveScanCheckers: readonly GoldenChecker[] = [
  { prefix: 'selective_scan_real_', check: checkReal },
  { prefix: 'selective_scan_complex_', check: checkComplex },
  { prefix: 'scan_operator', check: checkOperator },
  { prefix: 'theorem1_gate', check: checkGate },
  { prefix: 's6_all_static_is_lti', check: checkStatic },
];

type Problem = ScanProblem;
type Inputs = ScanInputs<Float64Array>;

/** Golden cases are of batch 1 and one group, with B and C that vary over time unless said otherwise. */
function shapeOf(length: number, channels: number, dState: number, more: Partial<ScanShape> = {}): ScanShape {
  return { batch: 1, length, channels, dState, groups: 1, complex: false, variableB: true, variableC: true, ...more };
}

/** [rows][length] to (length, rows): the layout of one sequence. */
function sequence({ data, shape }: NestedNumbers): Float64Array {
  return permute(data, shape, [1, 0]).data;
}

/** [rows][length][2] to (length, rows, 2). */
function complexSequence({ data, shape }: NestedNumbers): Float64Array {
  return permute(data, shape, [1, 0, 2]).data;
}

/** Steps `from` to `to` of a scan, with other inputs where `changes` has them. */
function steps(problem: Problem, from: number, to: number, changes: Partial<Inputs> = {}): Problem {
  const { shape, inputs, deltaSoftplus } = problem;
  const cut = (data: Float64Array): Float64Array => {
    const width = data.length / shape.length;
    return data.slice(from * width, to * width);
  };
  const shorter: Inputs = {
    ...inputs,
    u: cut(inputs.u),
    delta: cut(inputs.delta),
    B: shape.variableB ? cut(inputs.B) : inputs.B,
    C: shape.variableC ? cut(inputs.C) : inputs.C,
    ...(inputs.z === undefined ? {} : { z: cut(inputs.z) }),
    ...changes,
  };
  return { shape: { ...shape, length: to - from }, inputs: shorter, deltaSoftplus };
}

/** What `stateAfter(t)` gives for every step, as [channels][length][dState], complex or not. */
function overTime({ channels, length }: ScanShape, stateAfter: (step: number) => ArrayLike<number>): Float64Array {
  const states = Array.from({ length }, (_, step) => stateAfter(step));
  const width = states[0]!.length / channels;
  const out = new Float64Array(length * channels * width);
  for (const [step, state] of states.entries()) {
    for (let i = 0; i < state.length; i++) {
      const channel = Math.floor(i / width);
      out[(channel * length + step) * width + (i % width)] = state[i]!;
    }
  }
  return out;
}

const lastState = (problem: Problem): Float64Array => referenceScan.forward(problem).lastState;
const filled = (like: Float64Array, value: number): Float64Array => new Float64Array(like.length).fill(value);

function* checkReal(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const agrees = agreement(golden);
  const u = golden.input('u');
  const A = golden.input('A');
  const shape = shapeOf(u.shape[1]!, u.shape[0]!, A.shape[1]!);
  const inputs: Inputs = {
    u: sequence(u),
    delta: sequence(golden.input('delta_raw')),
    deltaBias: golden.input('delta_bias').data,
    A: A.data,
    B: sequence(golden.input('B')),
    C: sequence(golden.input('C')),
    D: golden.input('D').data,
    z: sequence(golden.input('z')),
  };
  const problem: Problem = { shape, inputs, deltaSoftplus: true };
  const { z: _z, ...ungated } = inputs;
  const { D: _D, ...core } = ungated;
  const through = (some: Inputs): Float64Array => referenceScan.forward({ ...problem, inputs: some }).y;
  yield agrees('out', through(inputs), sequence(golden.output('out')));
  yield agrees('y', through(ungated), sequence(golden.output('y')));
  yield agrees('y_core', through(core), sequence(golden.output('y_core')));
  yield agrees('last_state', lastState(problem), golden.output('last_state[d][n]').data);
  const h = overTime(shape, (t) => lastState(steps(problem, 0, t + 1)));
  yield agrees('h', h, golden.output('h[d][t][n]').data);

  // One step tells the parts: from zero it leaves dBu; from ones with u = 0, dA; and with A = 0, B = u = 1, delta.
  const dBu = overTime(shape, (t) => lastState(steps(problem, t, t + 1)));
  yield agrees('dBu', dBu, golden.output('dBu[d][t][n]').data);
  const ones = filled(inputs.A, 1);
  const noInput = { u: new Float64Array(shape.channels), initialState: ones };
  const dA = overTime(shape, (t) => lastState(steps(problem, t, t + 1, noInput)));
  yield agrees('dA', dA, golden.output('dA[d][t][n]').data);
  const single: Problem = {
    shape: { ...shape, dState: 1, variableB: false, variableC: false },
    inputs: { ...inputs, ...unitStep(shape.channels), u: filled(inputs.u, 1) },
    deltaSoftplus: true,
  };
  const delta = overTime(shape, (t) => lastState(steps(single, t, t + 1)));
  yield agrees('delta', delta, golden.output('delta').data);

  const gradients = referenceScan.backward(problem, sequence(golden.input('G')));
  for (const name of golden.outputNames('grad')) {
    const expected = golden.output('grad', name);
    if (!Object.hasOwn(gradientNames, name)) throw new Error(`grad ${name} is of no input that the scan has`);
    const { input, layout } = gradientNames[name as keyof typeof gradientNames];
    yield agrees(`grad ${name}`, gradients[input] ?? [], layout === 'sequence' ? sequence(expected) : expected.data);
  }
  yield* checkHold(golden, devices);
}

/** A = 0, B = C = 1 with one state: h_t = h_{t-1} + dt u. */
function unitStep(channels: number): { A: Float64Array; B: Float64Array; C: Float64Array } {
  const ones = new Float64Array(channels).fill(1);
  return { A: new Float64Array(channels), B: ones, C: ones };
}

const gradientNames = {
  u: { input: 'u', layout: 'sequence' },
  delta_raw: { input: 'delta', layout: 'sequence' },
  delta_bias: { input: 'deltaBias', layout: 'plain' },
  A: { input: 'A', layout: 'plain' },
  B: { input: 'B', layout: 'sequence' },
  C: { input: 'C', layout: 'sequence' },
  D: { input: 'D', layout: 'plain' },
  z: { input: 'z', layout: 'sequence' },
} as const;

function* checkComplex(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const u = golden.input('u');
  const A = golden.input('A');
  const shape = shapeOf(u.shape[1]!, u.shape[0]!, A.shape[1]!, { complex: true });
  const inputs: Inputs = {
    u: sequence(u),
    delta: sequence(golden.input('delta')),
    A: A.data,
    B: complexSequence(golden.input('B')),
    C: complexSequence(golden.input('C')),
    D: golden.input('D').data,
  };
  const problem: Problem = { shape, inputs, deltaSoftplus: false };
  const y = sequence(golden.output('y'));
  yield agrees('y', referenceScan.forward(problem).y, y);
  const h = overTime(shape, (t) => lastState(steps(problem, 0, t + 1)));
  yield agrees('h', h, golden.output('h[d][t][n]').data);
  const { data, shape: packed } = golden.output('B_packed_N_2L');
  const B = variableToChannelLast('B_packed_N_2L', { data, shape: [1, ...packed], complex: false }, true);
  yield agrees('y with packed B', referenceScan.forward({ ...problem, inputs: { ...inputs, B } }).y, y);
}

/** (a, b) pairs as a scan: A = -1, dt = -ln a, and u so that dt u = b. Products of a: the response to a state of 1. */
function* checkOperator(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const { data: elements, shape: pairs } = golden.input('elements_a_b');
  const length = pairs[0]!;
  const a = elements.filter((_, i) => i % 2 === 0);
  const b = elements.filter((_, i) => i % 2 === 1);
  if (a.some((factor) => factor <= 0 || factor === 1)) throw new Error('an element a is no exponential of the scan');
  const delta = a.map((factor) => -Math.log(factor));
  const one = Float64Array.of(1);
  const problem: Problem = {
    shape: shapeOf(length, 1, 1, { variableB: false, variableC: false }),
    inputs: { u: b.map((value, t) => value / delta[t]!), delta, A: Float64Array.of(-1), B: one, C: one },
    deltaSoftplus: false,
  };
  const { data: inclusive } = golden.output('inclusive');
  const values = inclusive.filter((_, i) => i % 2 === 1);
  const products = inclusive.filter((_, i) => i % 2 === 0);
  yield agrees('values', referenceScan.forward(problem).y, values);
  const decaying: Inputs = { ...problem.inputs, u: new Float64Array(length), initialState: one };
  yield agrees('products', referenceScan.forward({ ...problem, inputs: decaying }).y, products);
}

/**
 * Theorem 1: with dState 1, A = -1 and zero-order hold, the scan is a gate. The scan's own rule for B is Euler's, so B
 * carries the hold's factor, (1 - exp(-dt)) / dt with dt = softplus(s).
 */
function* checkGate(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const s = golden.input('s').data;
  const one = Float64Array.of(1);
  const shape = shapeOf(s.length, 1, 1, { variableC: false });
  const dt = referenceScan.forward({
    shape: { ...shape, variableB: false, batch: s.length, length: 1 },
    inputs: { u: filled(s, 1), delta: s, ...unitStep(1) },
    deltaSoftplus: true,
  }).y;
  const hold = dt.map((step) => -Math.expm1(-step) / step);
  const inputs: Inputs = { u: golden.input('x').data, delta: s, A: Float64Array.of(-1), B: hold, C: one };
  const problem: Problem = { shape, inputs, deltaSoftplus: true };
  yield agrees('h', referenceScan.forward(problem).y, golden.output('h').data);
  const forget = { u: new Float64Array(1), initialState: one };
  const dA = overTime(shape, (t) => lastState(steps(problem, t, t + 1, forget)));
  yield agrees('dA', dA, golden.output('dA').data);
  const g = overTime(shape, (t) => lastState(steps(problem, t, t + 1, { u: one })));
  yield agrees('g', g, golden.output('g').data);
}

/** With dt, B and C that do not vary, the scan is a convolution with what it answers to an impulse. */
function* checkStatic(golden: GoldenCase): Iterable<Result> {
  const agrees = agreement(golden);
  const u = golden.input('u');
  const A = golden.input('A');
  const delta = golden.input('delta').data;
  const [channels, length] = [u.shape[0]!, u.shape[1]!];
  const inputs: Inputs = {
    u: sequence(u),
    delta: Float64Array.from({ length: length * channels }, (_, i) => delta[i % channels]!),
    A: A.data,
    B: golden.input('B[d][n]').data,
    C: golden.input('C[d][n]').data,
  };
  const shape = shapeOf(length, channels, A.shape[1]!, { variableB: false, variableC: false });
  const problem: Problem = { shape, inputs, deltaSoftplus: false };
  yield agrees('y_core', referenceScan.forward(problem).y, sequence(golden.output('y_core')));
  const impulse = inputs.u.map((_, i) => (i < channels ? 1 : 0));
  const response = referenceScan.forward({ ...problem, inputs: { ...inputs, u: impulse } }).y;
  yield agrees('K', response, sequence(golden.output('K')));
}
