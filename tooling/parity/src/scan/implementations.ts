import {
  type FloatArray,
  type ScanGradients,
  type ScanInputs,
  type ScanOutput,
  type ScanShape,
  selectiveScan,
  selectiveScanBackward,
  selectiveScanBackwardReference,
  selectiveScanReference,
} from '@mamba-ts/scan';

/** A scan to run. */
export interface ScanProblem {
  readonly shape: ScanShape;
  readonly inputs: ScanInputs<Float64Array>;
  readonly deltaSoftplus: boolean;
}

/** One of our implementations of the scan. */
export interface ScanImplementation<T extends FloatArray = FloatArray> {
  readonly name: string;
  forward(problem: ScanProblem): ScanOutput<T>;
  /** Gradients of sum(y * gradY). */
  backward(problem: ScanProblem, gradY: Float64Array): ScanGradients<T>;
}

/** The float64 reference, the oracle of all kernels. */
export const referenceScan: ScanImplementation<Float64Array> = {
  name: 'float64',
  forward: ({ shape, inputs, deltaSoftplus }) => selectiveScanReference(shape, inputs, { deltaSoftplus }),
  backward: ({ shape, inputs, deltaSoftplus }, gradY) =>
    selectiveScanBackwardReference(shape, inputs, { y: gradY }, { deltaSoftplus }),
};

/** The WASM kernels in float32, the relaxed-simd build where the host has it. */
const wasmScan: ScanImplementation<Float32Array> = {
  name: 'wasm',
  forward: ({ shape, inputs, deltaSoftplus }) => selectiveScan(shape, toSingle(inputs), { deltaSoftplus }),
  backward: ({ shape, inputs, deltaSoftplus }, gradY) =>
    selectiveScanBackward(shape, toSingle(inputs), { y: new Float32Array(gradY) }, { deltaSoftplus }),
};

function toSingle({ resets, ...arrays }: ScanInputs<Float64Array>): ScanInputs {
  const single = Object.entries(arrays).map(([name, array]) => [name, new Float32Array(array)]);
  return { ...(Object.fromEntries(single) as unknown as ScanInputs), ...(resets === undefined ? {} : { resets }) };
}

/** Every implementation that runs on this machine. */
export const scanImplementations: readonly ScanImplementation[] = [referenceScan, wasmScan];
