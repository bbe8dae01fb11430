// The contract's suite and further checks on a card, without a test runner: `checks` is what test files and the program share.
import { type ScanArgument, type ScanInputs, type ScanShape, selectiveScanBackwardReference, selectiveScanReference } from '@mamba-ts/scan';
import { type ScanCase, expectClose, expectSameBits, scanCaseData, scanCases, testScan } from '@mamba-ts/scan/conformance';
import type { CudaContext } from '../driver/index';
import { type Layout, layoutsOf } from '../layout';
import type { PlanOverride } from '../plan';
import { CudaScan } from '../scan';
import { DeviceScan, fromBf16, toBf16 } from './device-scan';

export interface Check {
  readonly name: string;
  readonly body: () => void | Promise<void>;
}

const everything = {
  ...{ D: true, z: true, deltaBias: true, deltaSoftplus: true },
  ...{ initialState: true, resets: true, gradLastState: true },
};
const noResets = { ...everything, resets: false };

/** Shapes on which every kernel that can run them is tried, whatever the plan would choose. */
const kernelCases: readonly ScanCase[] = [
  ...[8, 16, 32, 64, 128].flatMap((dState, index) => [
    kernelCase(2, 100, 64, dState, 1, true, index),
    kernelCase(1, 333, 96, dState, 3, false, index + 10),
  ]),
  // rounds of whole tiles, and what is left after them; in channels of which every layout of 16 states makes whole tiles
  kernelCase(1, 1024, 96, 16, 2, false, 20),
  kernelCase(1, 1003, 48, 16, 1, false, 21),
  { ...kernelCase(2, 257, 96, 16, 2, false, 22), features: { ...noResets, z: false } },
];

function kernelCase(batch: number, length: number, channels: number, dState: number, groups: number, resets: boolean, seed: number): ScanCase {
  const shape: ScanShape = { batch, length, channels, dState, groups, complex: false, variableB: true, variableC: true };
  const name = `N${dState} L${length} B${batch} D${channels} G${groups}${resets ? ' +resets' : ''}`;
  return { name, seed: 7000 + seed, shape, features: resets ? everything : noResets };
}

const references = new Map<string, ReturnType<typeof computeReference>>();

/** Inputs as stored, and what the reference makes of them; several kernels are compared with one. */
function referenceOf(scanCase: ScanCase, bf16: boolean): ReturnType<typeof computeReference> {
  const key = `${scanCase.seed} ${bf16}`;
  const known = references.get(key) ?? computeReference(scanCase, bf16);
  references.set(key, known);
  return known;
}

function computeReference(scanCase: ScanCase, bf16: boolean) {
  const { shape } = scanCase;
  const data = scanCaseData(scanCase);
  const round = (values: Float32Array): Float32Array => (bf16 ? fromBf16(toBf16(values)) : values);
  const rounded: Partial<Record<ScanArgument, Float32Array>> = {};
  for (const name of ['u', 'delta', 'z'] as const) if (data.inputs[name] !== undefined) rounded[name] = round(data.inputs[name]);
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

async function compare(scan: DeviceScan, scanCase: ScanCase, tolerance: { forward: number; backward: number }, bf16: boolean): Promise<void> {
  const { shape } = scanCase;
  const { inputs, gradients, options, output, expected } = referenceOf(scanCase, bf16);
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

const exact = { forward: 1e-5, backward: 1e-4 };
const rounded = { forward: 4e-3, backward: 6e-3 }; // bf16 has 8 bits: results are rounded by up to 2^-9

/** Everything that is checked on a card. */
export function contractChecks(context: CudaContext, kernels: CudaScan): Check[] {
  const checks: Check[] = [];
  let group = '';
  const it = Object.assign((name: string, body: Check['body']): void => void checks.push({ name: `${group}: ${name}`, body }), {
    skip: (name: string): void => {
      throw new Error(`nothing is left out, but ${name} was`);
    },
  });
  const describe = (name: string, body: () => void): void => {
    const outer = group;
    group = outer === '' ? name : `${outer}: ${name}`;
    body();
    group = outer;
  };
  for (const checkpoints of [false, true]) {
    const label = checkpoints ? 'CUDA float32, checkpoints from forward' : 'CUDA float32';
    testScan({ describe, it }, label, () => new DeviceScan(context, { checkpoints }, kernels));
  }
  describe('CUDA bf16', () => {
    for (const scanCase of scanCases) {
      it(scanCase.name, () => compare(new DeviceScan(context, { dtype: 'bf16' }, kernels), scanCase, rounded, true));
    }
  });
  for (const dtype of ['float32', 'bf16'] as const) {
    describe(`every kernel, ${dtype}`, () => {
      for (const scanCase of kernelCases) {
        for (const [label, override] of waysOf(scanCase.shape)) {
          it(`${label}, ${scanCase.name}`, async () => {
            const scan = new DeviceScan(context, { dtype, override }, kernels);
            await compare(scan, scanCase, dtype === 'bf16' ? rounded : exact, dtype === 'bf16');
          });
        }
      }
    });
  }
  return checks;
}

/** All the ways in which a scan can be run, whatever the plan would choose. */
function waysOf(shape: ScanShape): [string, PlanOverride][] {
  const names = (kernels: Layout['kernels']): string[] => layoutsOf(shape, kernels).map((layout) => layout.name);
  const ways: [string, PlanOverride][] = names('backward').map((backward) => [`${backward} in backward`, { backward }]);
  for (const walk of names('split and backward')) {
    for (const slices of [1, 2, 4, 8, 16]) ways.push([`${walk}, ${slices} slices`, { walk, slices, backward: walk }]);
  }
  for (const walk of names('whole')) {
    for (const segments of [1, 2, 3, 5]) ways.push([`${walk}, ${segments} segments`, { walk, segments }]);
  }
  for (const { name: walk, maxWarps } of layoutsOf(shape, 'forward chain')) {
    for (const slices of [1, 2, 7, maxWarps]) ways.push([`${walk}, chain of ${slices}`, { walk, slices }]);
  }
  for (const backward of names('backward chain')) {
    for (const [warps, sets, segments] of [[1, 1, 1], [2, 2, 3], [4, 8, 1], [8, 3, 2]]) {
      const label = `${backward}, backward chain of ${warps}, ${sets} sets, ${segments} segments`;
      ways.push([label, { backward, chain: { warps, sets, segments } }]);
    }
  }
  return ways;
}
