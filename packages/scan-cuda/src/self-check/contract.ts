// The contract's suite and further checks on a card, without a test runner: `checks` is what test files and the program share.
import type { ScanShape } from '@mamba-ts/scan';
import { type Check, type ScanCase, type ScanStorage, compareStored, everyFeature, float32Storage, listChecks, scanCases, testScan } from '@mamba-ts/scan/conformance';
import type { CudaContext } from '../driver/index';
import { type Layout, layoutsOf } from '../layout';
import type { PlanOverride } from '../plan';
import { CudaScan } from '../scan';
import { DeviceScan, fromBf16, toBf16 } from './device-scan';

const noResets = { ...everyFeature, resets: false };

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
  return { name, seed: 7000 + seed, shape, features: resets ? everyFeature : noResets };
}

/** bf16 has 8 bits: results are rounded by up to 2^-9. */
const bf16Storage: ScanStorage = {
  name: 'bf16',
  round: (values) => fromBf16(toBf16(values)),
  tolerance: { forward: 4e-3, backward: 6e-3 },
};

/** Everything that is checked on a card. */
export function contractChecks(context: CudaContext, kernels: CudaScan): Check[] {
  return listChecks(({ describe, it }) => {
    for (const checkpoints of [false, true]) {
      const label = checkpoints ? 'CUDA float32, checkpoints from forward' : 'CUDA float32';
      testScan({ describe, it }, label, () => new DeviceScan(context, { checkpoints }, kernels));
    }
    describe('CUDA bf16', () => {
      for (const scanCase of scanCases) {
        it(scanCase.name, () => compareStored(new DeviceScan(context, { dtype: 'bf16' }, kernels), scanCase, bf16Storage));
      }
    });
    for (const dtype of ['float32', 'bf16'] as const) {
      describe(`every kernel, ${dtype}`, () => {
        for (const scanCase of kernelCases) {
          for (const [label, override] of waysOf(scanCase.shape)) {
            const scan = new DeviceScan(context, { dtype, override }, kernels);
            it(`${label}, ${scanCase.name}`, () => compareStored(scan, scanCase, dtype === 'bf16' ? bf16Storage : float32Storage));
          }
        }
      });
    }
  });
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
