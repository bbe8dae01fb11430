// The contract in float64, written for clarity: the oracle that every kernel is compared with. A state is a pair
// (re, im) throughout; in real mode the imaginary parts are 0 and every formula below reduces to the real one.
import {
  type FloatArray,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanShape,
  scanSize,
  stateWidth,
} from './types';
import { checkScanInputs, checkStep } from './validation';

/** log(1 + e^x), the identity above 20. */
export function softplus(x: number): number {
  return x > 20 ? x : Math.log1p(Math.exp(x));
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** dt = [softplus](delta + deltaBias) at one (batch, t, channel). */
export function timeStep(inputs: ScanInputs<FloatArray>, options: ScanOptions, index: number, channel: number): number {
  const raw = inputs.delta[index] + (inputs.deltaBias?.[channel] ?? 0);
  return options.deltaSoftplus ? softplus(raw) : raw;
}

/** Index of (batch, t, channel) in u, delta, z and y. */
export function stepIndex({ length, channels }: ScanShape, b: number, t: number, d: number): number {
  return (b * length + t) * channels + d;
}

/** Index of the real part of (batch, channel, n) in a state; also of (channel, n) in A with b = 0. */
export function stateIndex(shape: ScanShape, b: number, d: number, n: number): number {
  return ((b * shape.channels + d) * shape.dState + n) * stateWidth(shape);
}

/** Index of the real part of B or C for (batch, t, channel, n). */
export function coefficientIndex(
  shape: ScanShape,
  variable: boolean,
  b: number,
  t: number,
  d: number,
  n: number,
): number {
  if (!variable) return stateIndex(shape, 0, d, n);
  const group = Math.floor(d / (shape.channels / shape.groups));
  return (((b * shape.length + t) * shape.groups + group) * shape.dState + n) * stateWidth(shape);
}

/** Is the state of sequence b set to zero before step t? */
export function isReset(shape: ScanShape, inputs: ScanInputs<FloatArray>, b: number, t: number): boolean {
  return inputs.resets !== undefined && inputs.resets[b * shape.length + t] !== 0;
}

/** a = exp(dt A), as (re, im). */
export function decay(shape: ScanShape, A: FloatArray, at: number, dt: number): readonly [re: number, im: number] {
  const size = Math.exp(dt * A[at]);
  if (!shape.complex) return [size, 0];
  const angle = dt * A[at + 1];
  return [size * Math.cos(angle), size * Math.sin(angle)];
}

/**
 * One step, in place: h <- a h + dt B u, returns y. `state` (batch, channels, dState[, 2]) is what `initialState` is to
 * a scan; `inputs` have length t = `step` of `shape`.
 */
function advance(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  options: ScanOptions,
  state: Float64Array,
  y: Float64Array,
  b: number,
  t: number,
): void {
  const { channels, dState, complex } = shape;
  const { A, B, C, D, u, z } = inputs;
  const fresh = isReset(shape, inputs, b, t);
  for (let d = 0; d < channels; d++) {
    const at = stepIndex(shape, b, t, d);
    const dt = timeStep(inputs, options, at, d);
    let sum = 0;
    for (let n = 0; n < dState; n++) {
      const h = stateIndex(shape, b, d, n);
      const i = coefficientIndex(shape, shape.variableB, b, t, d, n);
      const k = coefficientIndex(shape, shape.variableC, b, t, d, n);
      const [aRe, aIm] = decay(shape, A, stateIndex(shape, 0, d, n), dt);
      const hRe = fresh ? 0 : state[h];
      if (!complex) {
        state[h] = aRe * hRe + dt * B[i] * u[at]; // h_t = a_t h_{t-1} + dt_t B_t u_t
        sum += C[k] * state[h]; // y_t = sum_n C_t h_t
        continue;
      }
      const hIm = fresh ? 0 : state[h + 1];
      state[h] = aRe * hRe - aIm * hIm + dt * B[i] * u[at];
      state[h + 1] = aRe * hIm + aIm * hRe + dt * B[i + 1] * u[at];
      sum += 2 * (C[k] * state[h] - C[k + 1] * state[h + 1]); // y_t = 2 Re(sum_n C_t h_t), no conjugate
    }
    if (D !== undefined) sum += D[d] * u[at];
    if (z !== undefined) sum *= z[at] * sigmoid(z[at]);
    y[at] = sum;
  }
}

/** The scan: y and the state after the last step. Throws a ScanShapeError where inputs don't fit `shape`. */
export function selectiveScanReference(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  options: ScanOptions = {},
): ScanOutput<Float64Array> {
  checkScanInputs(shape, inputs, [Float32Array, Float64Array], 'selectiveScanReference');
  const y = new Float64Array(scanSize(shape, 'y'));
  const lastState = new Float64Array(scanSize(shape, 'lastState'));
  if (inputs.initialState !== undefined) lastState.set(inputs.initialState);
  for (let b = 0; b < shape.batch; b++) {
    for (let t = 0; t < shape.length; t++) advance(shape, inputs, options, lastState, y, b, t);
  }
  return { y, lastState };
}

/**
 * One step of length 1: updates `state` (batch, channels, dState) in place and returns y (batch, channels). L of these
 * are a scan of length L. `inputs` is a scan's, with `shape.length` 1 and no initialState.
 */
export function selectiveStateUpdateReference(
  shape: ScanShape,
  state: Float64Array,
  inputs: Omit<ScanInputs<FloatArray>, 'initialState'>,
  options: ScanOptions = {},
): Float64Array {
  checkStep(shape, 'selectiveStateUpdateReference');
  const all = { ...inputs, initialState: state };
  checkScanInputs(shape, all, [Float32Array, Float64Array], 'selectiveStateUpdateReference');
  const y = new Float64Array(scanSize(shape, 'y'));
  for (let b = 0; b < shape.batch; b++) advance(shape, all, options, state, y, b, 0);
  return y;
}
