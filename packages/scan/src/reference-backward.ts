// Gradients of the scan in float64. s_t is the gradient that reaches h_t, g_t the one that reaches y_t before the gate:
//   s_t = k g_t conj(C_t) + conj(a_{t+1}) s_{t+1}, at the end from the last state's gradient; k = 2 complex, 1 real
//   q_t = s_t conj(a_t h_{t-1})
//   dC_t = sum_d k g_t conj(h_t)       dB_t = sum_d s_t dt_t u_t       dA = sum_{b,t} dt_t q_t
//   du_t = D g_t + dt_t sum_n Re(s_t conj(B_t))        ddt_t = sum_n Re(s_t conj(B_t)) u_t + Re(q_t conj(A))
// with sums over the channels of the group for variable B and C, over batch and time for constant ones. Complex
// gradients are dL/dRe + i dL/dIm. A reset before step t makes h_{t-1} zero and lets no gradient through.
import {
  type FloatArray,
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutputGradients,
  type ScanShape,
  scanSize,
  stateWidth,
} from './types';
import { coefficientIndex, decay, isReset, sigmoid, stateIndex, stepIndex, timeStep } from './reference';
import { checkOutputGradients, checkScanInputs } from './validation';

type MutableGradients = { -readonly [K in keyof ScanGradients]: Float64Array };

/** Gradients of all inputs that are present. Throws a ScanShapeError where inputs or gradients don't fit `shape`. */
export function selectiveScanBackwardReference(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  gradients: ScanOutputGradients<FloatArray>,
  options: ScanOptions = {},
): ScanGradients<Float64Array> {
  const caller = 'selectiveScanBackwardReference';
  checkScanInputs(shape, inputs, [Float32Array, Float64Array], caller);
  checkOutputGradients(shape, gradients, [Float32Array, Float64Array], caller);
  const zeros = (name: 'u' | 'A' | 'B' | 'C' | 'D' | 'initialState'): Float64Array =>
    new Float64Array(scanSize(shape, name));
  const result: MutableGradients = { u: zeros('u'), delta: zeros('u'), A: zeros('A'), B: zeros('B'), C: zeros('C') };
  if (inputs.D !== undefined) result.D = zeros('D');
  if (inputs.z !== undefined) result.z = zeros('u');
  if (inputs.deltaBias !== undefined) result.deltaBias = zeros('D');
  if (inputs.initialState !== undefined) result.initialState = zeros('initialState');
  for (let b = 0; b < shape.batch; b++) {
    for (let d = 0; d < shape.channels; d++) channelBackward(shape, inputs, options, gradients, result, b, d);
  }
  return result;
}

/** States of one channel, (length + 1, dState, 2): row 0 is the initial state, row t + 1 is h_t. */
function channelStates(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  options: ScanOptions,
  b: number,
  d: number,
): Float64Array {
  const { length, dState, complex } = shape;
  const { A, B, u, initialState } = inputs;
  const states = new Float64Array((length + 1) * dState * 2);
  for (let n = 0; n < dState; n++) {
    const a = stateIndex(shape, 0, d, n);
    if (initialState !== undefined) {
      const from = stateIndex(shape, b, d, n);
      states[2 * n] = initialState[from];
      states[2 * n + 1] = complex ? initialState[from + 1] : 0;
    }
    for (let t = 0; t < length; t++) {
      const at = stepIndex(shape, b, t, d);
      const dt = timeStep(inputs, options, at, d);
      const [aRe, aIm] = decay(shape, A, a, dt);
      const before = 2 * (t * dState + n);
      const after = before + 2 * dState;
      const fresh = isReset(shape, inputs, b, t);
      const hRe = fresh ? 0 : states[before];
      const hIm = fresh ? 0 : states[before + 1];
      const i = coefficientIndex(shape, shape.variableB, b, t, d, n);
      states[after] = aRe * hRe - aIm * hIm + dt * B[i] * u[at];
      states[after + 1] = complex ? aRe * hIm + aIm * hRe + dt * B[i + 1] * u[at] : 0;
    }
  }
  return states;
}

function channelBackward(
  shape: ScanShape,
  inputs: ScanInputs<FloatArray>,
  options: ScanOptions,
  gradients: ScanOutputGradients<FloatArray>,
  result: MutableGradients,
  b: number,
  d: number,
): void {
  const { length, dState, complex } = shape;
  const { A, B, C, D, u, z } = inputs;
  const width = stateWidth(shape);
  const k = complex ? 2 : 1;
  const states = channelStates(shape, inputs, options, b, d);
  const adjoint = new Float64Array(dState * 2); // conj(a_{t+1}) s_{t+1}
  if (gradients.lastState !== undefined) {
    for (let n = 0; n < dState; n++) {
      for (let part = 0; part < width; part++)
        adjoint[2 * n + part] = gradients.lastState[stateIndex(shape, b, d, n) + part];
    }
  }
  for (let t = length - 1; t >= 0; t--) {
    const at = stepIndex(shape, b, t, d);
    const dt = timeStep(inputs, options, at, d);
    const fresh = isReset(shape, inputs, b, t);
    const gate = z === undefined ? 1 : z[at] * sigmoid(z[at]);
    const g = gradients.y[at] * gate;
    let y = (D?.[d] ?? 0) * u[at];
    let sumB = 0; // sum_n Re(s conj B)
    let sumA = 0; // sum_n Re(q conj A)
    for (let n = 0; n < dState; n++) {
      const a = stateIndex(shape, 0, d, n);
      const i = coefficientIndex(shape, shape.variableB, b, t, d, n);
      const c = coefficientIndex(shape, shape.variableC, b, t, d, n);
      const [bIm, cIm, AIm] = complex ? [B[i + 1], C[c + 1], A[a + 1]] : [0, 0, 0];
      const before = 2 * (t * dState + n);
      const after = before + 2 * dState;
      const hRe = states[after];
      const hIm = states[after + 1];
      y += k * (C[c] * hRe - cIm * hIm);
      const sRe = k * g * C[c] + adjoint[2 * n];
      const sIm = -k * g * cIm + adjoint[2 * n + 1];
      const [aRe, aIm] = decay(shape, A, a, dt);
      const pRe = fresh ? 0 : states[before];
      const pIm = fresh ? 0 : states[before + 1];
      const ahRe = aRe * pRe - aIm * pIm;
      const ahIm = aRe * pIm + aIm * pRe;
      const qRe = sRe * ahRe + sIm * ahIm;
      const qIm = sIm * ahRe - sRe * ahIm;
      sumB += sRe * B[i] + sIm * bIm;
      sumA += qRe * A[a] + qIm * AIm;
      result.A[a] += dt * qRe;
      result.B[i] += sRe * dt * u[at];
      result.C[c] += k * g * hRe;
      if (complex) {
        result.A[a + 1] += dt * qIm;
        result.B[i + 1] += sIm * dt * u[at];
        result.C[c + 1] -= k * g * hIm;
      }
      adjoint[2 * n] = fresh ? 0 : aRe * sRe + aIm * sIm;
      adjoint[2 * n + 1] = fresh ? 0 : aRe * sIm - aIm * sRe;
    }
    result.u[at] = (D?.[d] ?? 0) * g + dt * sumB;
    let gradDt = sumB * u[at] + sumA;
    if (options.deltaSoftplus) {
      const raw = inputs.delta[at] + (inputs.deltaBias?.[d] ?? 0);
      if (raw <= 20) gradDt *= sigmoid(raw);
    }
    result.delta[at] = gradDt;
    if (result.deltaBias !== undefined) result.deltaBias[d] += gradDt;
    if (result.D !== undefined) result.D[d] += g * u[at];
    if (result.z !== undefined && z !== undefined) {
      const s = sigmoid(z[at]);
      result.z[at] = gradients.y[at] * y * s * (1 + z[at] * (1 - s)); // y silu'(z)
    }
  }
  if (result.initialState !== undefined) {
    for (let n = 0; n < dState; n++) {
      for (let part = 0; part < width; part++)
        result.initialState[stateIndex(shape, b, d, n) + part] = adjoint[2 * n + part];
    }
  }
}
