// The contract's suite and further checks on a device, without a test runner: what test files and the program share.
import {
  type ScanArgument,
  type ScanInputs,
  type ScanShape,
  selectiveScanBackwardReference,
  selectiveScanReference,
} from '@mamba-ts/scan';
import {
  type ScanCase,
  expectClose,
  expectSameBits,
  scanCaseData,
  scanCases,
  testScan,
} from '@mamba-ts/scan/conformance';
import type { DeviceScan } from './device-scan';

export interface Check {
  readonly name: string;
  readonly body: () => void | Promise<void>;
}

/** The suite of @mamba-ts/scan as a list; of all cases, or of those chosen. */
export function contractChecks(
  label: string,
  scan: DeviceScan,
  chosen: (scanCase: ScanCase) => boolean = () => true,
): Check[] {
  const checks: Check[] = [];
  let group = '';
  const it = Object.assign(
    (name: string, body: Check['body']): void => void checks.push({ name: `${group}: ${name}`, body }),
    {
      skip: (name: string): void => {
        throw new Error(`nothing is left out, but ${name} was`);
      },
    },
  );
  const describe = (name: string, body: () => void): void => {
    const outer = group;
    group = outer === '' ? name : `${outer}: ${name}`;
    body();
    group = outer;
  };
  testScan({ describe, it }, label, () => scan);
  const names = scanCases.filter(chosen).map(({ name }) => `: ${name}`);
  return checks.filter(({ name }) => names.some((end) => name.endsWith(end)));
}

const everything = {
  ...{ D: true, z: true, deltaBias: true, deltaSoftplus: true },
  ...{ initialState: true, resets: true, gradLastState: true },
};

function oneCase(shape: Partial<ScanShape>, seed: number): ScanCase {
  const full: ScanShape = {
    ...{ batch: 2, length: 100, channels: 24, dState: 16, groups: 1, complex: false, variableB: true, variableC: true },
    ...shape,
  };
  const name = `${full.complex ? 'complex' : 'real'} N${full.dState} L${full.length} B${full.batch} D${full.channels} G${full.groups}`;
  return { name, seed: 7000 + seed, shape: full, features: everything };
}

/** Shapes on which every way of running the kernels is tried: each count of lanes, and channels that end within a tile. */
export const wayCases: readonly ScanCase[] = [
  ...[4, 8, 16, 32, 64, 128, 256].map((dState, i) => oneCase({ dState, length: dState > 32 ? 37 : 100 }, i)),
  ...[4, 16, 64].map((dState, i) => oneCase({ dState, complex: true, length: 37, channels: 10 }, 20 + i)),
  oneCase({ channels: 96, groups: 3, batch: 1, length: 203 }, 30),
  oneCase({ channels: 35, dState: 16, length: 130, variableB: false }, 31),
];

const references = new Map<string, ReturnType<typeof computeReference>>();

function referenceOf(scanCase: ScanCase, f16: boolean): ReturnType<typeof computeReference> {
  const key = `${scanCase.seed} ${f16}`;
  const known = references.get(key) ?? computeReference(scanCase, f16);
  references.set(key, known);
  return known;
}

/** Inputs as stored, and what the reference makes of them. */
function computeReference(scanCase: ScanCase, f16: boolean) {
  const { shape } = scanCase;
  const data = scanCaseData(scanCase);
  const round = (values: Float32Array): Float32Array => (f16 ? Float32Array.from(new Float16Array(values)) : values);
  const rounded: Partial<Record<ScanArgument, Float32Array>> = {};
  for (const name of ['u', 'delta', 'z'] as const)
    if (data.inputs[name] !== undefined) rounded[name] = round(data.inputs[name]);
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

/** Throws unless a scan gives what the reference does, twice with the same bits. f16 has 11 bits: results are rounded by up to 2^-12. */
export async function compare(scan: DeviceScan, scanCase: ScanCase, f16 = false): Promise<void> {
  const { shape } = scanCase;
  const { inputs, gradients, options, output, expected } = referenceOf(scanCase, f16);
  const tolerance = f16 ? { forward: 6e-4, backward: 1e-3 } : { forward: 1e-5, backward: 1e-4 };
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

/** All cases of the contract, or some, with results compared once. */
export function gridChecks(
  label: string,
  scan: DeviceScan,
  f16 = false,
  cases: readonly ScanCase[] = scanCases,
): Check[] {
  return cases.map((scanCase) => ({ name: `${label}: ${scanCase.name}`, body: () => compare(scan, scanCase, f16) }));
}
