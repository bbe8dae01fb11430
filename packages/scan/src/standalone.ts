// The scan for whoever has Float32Arrays: validated, one thread, on a WASM instance that is made when first needed.
import {
  type ScanGradients,
  type ScanInputs,
  type ScanOptions,
  type ScanOutput,
  type ScanOutputGradients,
  type ScanShape,
} from './types';
import { checkOutputGradients, checkScanInputs, checkStep } from './validation';
import { selectiveScanReference, selectiveStateUpdateReference } from './reference';
import { selectiveScanBackwardReference } from './reference-backward';
import { ScanRuntime } from './runtime';

export interface StandaloneOptions extends ScanOptions {
  /** `wasm` (default) computes in float32 with SIMD; `reference` in float64 in plain TypeScript, then rounds. */
  readonly implementation?: 'wasm' | 'reference';
}

let runtime: ScanRuntime | undefined;

function sharedRuntime(): ScanRuntime {
  runtime ??= new ScanRuntime();
  return runtime;
}

/** Drops the WASM instance and its memory, which otherwise stays as large as the largest call needed. */
export function releaseScanMemory(): void {
  runtime = undefined;
}

/**
 * The selective scan: y (batch, length, channels) and the state after the last step (batch, channels, dState).
 * Shapes of the inputs: {@link ScanShape}. Throws a ScanShapeError that names the argument at fault.
 */
export function selectiveScan(shape: ScanShape, inputs: ScanInputs, options: StandaloneOptions = {}): ScanOutput {
  checkScanInputs(shape, inputs, [Float32Array], 'selectiveScan');
  if (options.implementation !== 'reference') return sharedRuntime().forward(shape, inputs, options);
  const { y, lastState } = selectiveScanReference(shape, inputs, options);
  return { y: new Float32Array(y), lastState: new Float32Array(lastState) };
}

/** Gradients of every input that is present, from those of y and (optionally) the last state. Forward saves nothing. */
export function selectiveScanBackward(
  shape: ScanShape,
  inputs: ScanInputs,
  gradients: ScanOutputGradients,
  options: StandaloneOptions = {},
): ScanGradients {
  checkScanInputs(shape, inputs, [Float32Array], 'selectiveScanBackward');
  checkOutputGradients(shape, gradients, [Float32Array], 'selectiveScanBackward');
  if (options.implementation !== 'reference') return sharedRuntime().backward(shape, inputs, gradients, options);
  const result = selectiveScanBackwardReference(shape, inputs, gradients, options);
  const rounded = Object.entries(result).map(([name, value]: [string, Float64Array]) => [
    name,
    new Float32Array(value),
  ]);
  return Object.fromEntries(rounded) as ScanGradients;
}

/**
 * One step: updates `state` (batch, channels, dState) in place, returns y (batch, channels). `shape.length` is 1;
 * a scan over L steps equals L of these.
 */
export function selectiveStateUpdate(
  shape: ScanShape,
  state: Float32Array,
  inputs: Omit<ScanInputs, 'initialState'>,
  options: StandaloneOptions = {},
): Float32Array {
  checkStep(shape, 'selectiveStateUpdate');
  checkScanInputs(shape, { ...inputs, initialState: state }, [Float32Array], 'selectiveStateUpdate');
  if (options.implementation !== 'reference') return sharedRuntime().stateUpdate(shape, state, inputs, options);
  const exact = new Float64Array(state);
  const y = selectiveStateUpdateReference(shape, exact, inputs, options);
  state.set(exact);
  return new Float32Array(y);
}
