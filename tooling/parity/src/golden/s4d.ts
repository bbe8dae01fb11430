import { type Discretization, discretizations, S4D, s4dInits, type S4DState, Vandermonde } from '@mamba-ts/ssm';
import { Complex, grad, scope, type Tensor } from '@mamba-ts/tensor';
import type { Result } from '../family';
import { evaluate, type ParityDevice, upload } from '../parity-device';
import { runSteps } from '../run-steps';
import { agreement, type GoldenCase, type NestedNumbers } from './golden-case';
import { polesOf } from './hippo';

/* The S4D layer with one channel. Golden cases keep the poles of positive imaginary part, the layer, as the s4
   repository, the others of each pair: states are conjugate, everything real is the same. */

/** Parameters of one channel: complex ones `[re, im]`, those of real poles numbers. */
interface Channel {
  readonly dt: number;
  /** Null: as the layer starts. */
  readonly A: NestedNumbers | null;
  readonly B: NestedNumbers;
  readonly C: NestedNumbers;
  readonly D: number;
}

const ones = (count: number): NestedNumbers => ({ data: new Float64Array(count).fill(1), shape: [count] });

/** A layer with these parameters; to be made, and freed, in a scope. */
function layerOf(
  on: ParityDevice,
  init: (typeof s4dInits)[number],
  dState: number,
  discretization: Discretization,
  { dt, A, B, C, D }: Channel,
): S4D {
  const layer = new S4D({ dModel: 1, dState, init, discretization }, on.random);
  const { kernel } = layer;
  kernel.inv_dt.write(Float64Array.of(Math.log(dt)));
  if (A !== null) {
    const [re, im] = parts(A, A.data.length / 2);
    kernel.A_real.write(re.map((value) => Math.log(-value)));
    kernel.A_imag!.write(im);
  }
  // The layer's poles are Re λ − i A_imag, and the coefficients of conjugate poles are conjugate too.
  for (const [variable, values] of [
    [kernel.B, B],
    [kernel.C, C],
  ] as const) {
    if (init === 'real') variable.write(values.data);
    else variable.write(pairs(...parts(values, variable.size / 2), -1));
  }
  layer.D.write(Float64Array.of(D));
  return layer;
}

/** Real and imaginary parts of `count` numbers, complex or real. */
function parts({ data }: NestedNumbers, count: number): [Float64Array, Float64Array] {
  if (data.length === count) return [data, new Float64Array(count)];
  return [data.filter((_, i) => i % 2 === 0), data.filter((_, i) => i % 2 === 1)];
}

function pairs(re: Float64Array, im: Float64Array, sign: number): Float64Array {
  return Float64Array.from([...re].flatMap((value, i) => [value, sign * im[i]!]));
}

/** `[re, im]` pairs, conjugated: the state of the poles that golden cases keep. */
function conjugate(state: Float64Array): Float64Array {
  return state.map((value, i) => (i % 2 === 0 ? value : -value));
}

/** One sequence of one channel. */
function sequence(data: Float64Array): { data: Float64Array; shape: [1, number, 1] } {
  return { data, shape: [1, data.length, 1] };
}

function impulse(on: ParityDevice, length: number): Tensor {
  return upload(on, sequence(Float64Array.from({ length }, (_, t) => Number(t === 0))));
}

/**
 * The kernel of one channel with each initial set of poles; with an input `u` also the output and the states. Results
 * are under `zoh.K` or `zoh_K`; N counts real states, `modes` the numbers that are kept.
 */
export function* checkKernel(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const init = s4dInits.find((kind) => golden.name.startsWith(`s4d_${kind}_`));
  if (init === undefined) throw new Error('no initial set of poles has this name');
  const dState = golden.hasInput('N') ? golden.inputNumber('N') : 2 * golden.inputNumber('modes');
  const modes = init === 'real' ? dState : dState / 2;
  const length = golden.inputNumber('L');
  const channel: Channel = {
    dt: golden.inputNumber('dt'),
    A: null,
    B: golden.inputOrOnes(modes, 'B'),
    C: golden.inputOrOnes(modes, 'C'),
    D: golden.hasInput('D') ? golden.inputNumber('D') : 0,
  };
  yield agreement(golden).each('A', polesOf(init, dState), golden.output('A').data);
  for (const kind of discretizations) {
    const output = (name: string): Float64Array =>
      (golden.hasOutput(kind) ? golden.output(kind, name) : golden.output(`${kind}_${name}`)).data;
    if (!golden.hasOutput(kind) && !golden.hasOutput(`${kind}_K`)) continue;
    for (const on of devices) {
      const agrees = agreement(golden, on);
      const { K } = evaluate(() => ({
        K: layerOf(on, init, dState, kind, { ...channel, D: 0 }).forward(impulse(on, length)),
      }));
      yield agrees(`${kind} K`, K, output('K'));
      if (!golden.hasInput('u')) continue;
      const u = sequence(golden.input('u').data);
      const { y, last, stepped } = scope(() => {
        const layer = layerOf(on, init, dState, kind, channel);
        const prefilled = evaluate(() => {
          const [all, { ssm }] = layer.prefill(upload(on, u));
          return { y: all, last: ssm };
        });
        return { ...prefilled, stepped: runSteps(layer, on, u) };
      });
      const states = output('state_after_each_step');
      const after = stepped.states.slice(1).flatMap(({ ssm }) => [...conjugate(ssm!)]);
      yield agrees(`${kind} y`, y, output('y_of_u'));
      yield agrees(`${kind} y, stepped`, stepped.y, output('y_of_u'));
      yield agrees(`${kind} states, stepped`, after, states);
      yield agrees(`${kind} last state`, conjugate(last), states.slice(-last.length));
    }
  }
}

/** Σ v exp(l x) for l = 0 … L − 1: twice its real part, and all of it. */
export function* checkVandermonde(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const v = golden.input('v');
  const x = golden.input('x');
  const length = golden.inputNumber('L');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found = evaluate(() => {
      const powers = new Vandermonde(Complex.fromPairs(upload(on, x).unsqueeze(0)), length);
      const weights = Complex.fromPairs(upload(on, v).unsqueeze(0));
      const re = powers.kernel(weights);
      // Im w = Re(−i w)
      const im = powers.kernel(new Complex(weights.im, weights.re.neg()));
      return { K: powers.kernel(weights.scale(2)), complex: new Complex(re, im).toPairs() };
    });
    yield agrees('K', found.K, golden.output('K').data);
    yield agrees('complex', found.complex, golden.output('complex').data);
  }
}

/** What is left of an initial state without any input, C = 1, zero-order hold: as a convolution and step by step. */
export function* checkInitialState(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const A = golden.input('A');
  const x0 = golden.input('x0');
  const modes = A.shape[0]!;
  const length = golden.inputNumber('L');
  const channel: Channel = { dt: golden.inputNumber('dt'), A, B: ones(modes), C: ones(modes), D: 0 };
  const y = golden.output('y').data;
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const { convolved, stepped } = scope(() => {
      const layer = layerOf(on, 'lin', 2 * modes, 'zoh', channel);
      const state: S4DState = { ssm: upload(on, { data: conjugate(x0.data), shape: [1, 1, modes, 2] }) };
      const silence = sequence(new Float64Array(length));
      return {
        convolved: evaluate(() => ({ y: layer.prefill(upload(on, silence), state)[0] })).y,
        stepped: runSteps(layer, on, silence, state).y,
      };
    });
    yield agrees('y', convolved, y);
    yield agrees('y, stepped', stepped, y);
  }
}

/** The kernel of one channel with B = 1, zero-order hold, and gradients of Σ g K by its parameters. */
export function* checkKernelGradients(golden: GoldenCase, devices: readonly ParityDevice[]): Iterable<Result> {
  const [logDt, logRe, im] = [golden.input('log_dt'), golden.input('log_A_re'), golden.input('A_im')];
  const [cRe, cIm] = [golden.input('C_re'), golden.input('C_im')];
  if (logDt.data.length !== 1) throw new Error(`log_dt has ${logDt.data.length} elements, a layout not known`);
  const modes = logRe.data.length;
  const channel: Channel = {
    dt: Math.exp(logDt.data[0]!),
    A: {
      data: pairs(
        logRe.data.map((value) => -Math.exp(value)),
        im.data,
        1,
      ),
      shape: [modes, 2],
    },
    B: ones(modes),
    C: { data: pairs(cRe.data, cIm.data, 1), shape: [modes, 2] },
    D: 0,
  };
  const g = golden.input('g');
  const expected = golden.outputNames('grad');
  for (const on of devices) {
    const agrees = agreement(golden, on);
    const found: Record<string, Float64Array> = evaluate(() => {
      const layer = layerOf(on, 'lin', 2 * modes, 'zoh', channel);
      const { kernel } = layer;
      const K = layer.forward(impulse(on, golden.inputNumber('L'))).reshape(-1);
      const wrt = [kernel.inv_dt, kernel.A_real, kernel.A_imag!, kernel.C];
      const [dt, real, imaginary, c] = grad(K.mul(upload(on, g)).sum(), wrt) as [Tensor, Tensor, Tensor, Tensor];
      const byC = Complex.fromPairs(c);
      // The layer's C is the conjugate of the golden one.
      return { K, log_dt: dt, log_A_re: real, A_im: imaginary, C_re: byC.re, C_im: byC.im.neg() };
    });
    yield agrees('K', found['K']!, golden.output('K').data);
    for (const name of expected) {
      if (name === 'K' || !Object.hasOwn(found, name)) throw new Error(`grad ${name} is of no parameter of the kernel`);
      yield agrees(`grad ${name}`, found[name]!, golden.output('grad', name).data);
    }
  }
}
