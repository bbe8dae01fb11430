// Comparison with the reference for scans that store their arrays with fewer bits: the reference takes inputs as stored.
import { expectClose, expectSameBits } from './closeness';
import type { ScanImplementation } from './conformance';
import { type ScanCase, type ScanFeatures, scanCaseData } from './grid';
import { selectiveScanReference } from './reference';
import { selectiveScanBackwardReference } from './reference-backward';
import type { ScanArgument, ScanInputs } from './types';

/** Everything that a scan may have. */
export const everyFeature: ScanFeatures = {
  ...{ D: true, z: true, deltaBias: true, deltaSoftplus: true },
  ...{ initialState: true, resets: true, gradLastState: true },
};

/** How u, delta, z, y, variable B and C and their gradients are stored. */
export interface ScanStorage {
  readonly name: string;
  /** Values as they are after being stored. */
  readonly round: (values: Float32Array) => Float32Array;
  /** As in `ScanTestOptions`; the last state is never rounded and must be within 1e-5. */
  readonly tolerance: { readonly forward: number; readonly backward: number };
}

/** float32: nothing is rounded. */
export const float32Storage: ScanStorage = {
  name: 'float32',
  round: (values) => values,
  tolerance: { forward: 1e-5, backward: 1e-4 },
};

const references = new Map<string, ReturnType<typeof computeReference>>();

/** Inputs as stored, and what the reference makes of them; several implementations are compared with one. */
function referenceOf(scanCase: ScanCase, storage: ScanStorage): ReturnType<typeof computeReference> {
  const key = `${scanCase.name}, seed ${scanCase.seed}, ${storage.name}`;
  const known = references.get(key) ?? computeReference(scanCase, storage);
  references.set(key, known);
  return known;
}

function computeReference(scanCase: ScanCase, { round }: ScanStorage) {
  const { shape } = scanCase;
  const data = scanCaseData(scanCase);
  const rounded: Partial<Record<ScanArgument, Float32Array>> = {};
  for (const name of ['u', 'delta', 'z'] as const) {
    if (data.inputs[name] !== undefined) rounded[name] = round(data.inputs[name]);
  }
  if (shape.variableB) rounded.B = round(data.inputs.B);
  if (shape.variableC) rounded.C = round(data.inputs.C);
  const inputs: ScanInputs = { ...data.inputs, ...rounded };
  const gradients = { ...data.gradients, y: round(data.gradients.y) };
  const { options } = data;
  return {
    ...{ inputs, gradients, options },
    output: selectiveScanReference(shape, inputs, options),
    expected: selectiveScanBackwardReference(shape, inputs, gradients, options),
  };
}

/** Throws unless a scan gives what the reference does: y, last state, all gradients, these twice with the same bits. */
export async function compareStored(
  scan: Pick<Required<ScanImplementation>, 'forward' | 'backward'>,
  scanCase: ScanCase,
  storage: ScanStorage = float32Storage,
): Promise<void> {
  const { shape } = scanCase;
  const { tolerance } = storage;
  const { inputs, gradients, options, output, expected } = referenceOf(scanCase, storage);
  const actual = await scan.forward(shape, inputs, options);
  expectClose('y', actual.y, output.y, tolerance.forward);
  expectClose('last state', actual.lastState, output.lastState, 1e-5);
  const first = await scan.backward(shape, inputs, gradients, options);
  const second = await scan.backward(shape, inputs, gradients, options);
  for (const [name, values] of Object.entries(expected) as [ScanArgument, Float64Array][]) {
    const got = first[name] ?? new Float32Array();
    expectClose(`gradient of ${name}`, got, values, tolerance.backward);
    expectSameBits(`gradient of ${name}, again`, second[name] ?? new Float32Array(), got);
  }
}
