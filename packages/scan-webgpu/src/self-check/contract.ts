// The contract's suite and further checks on a device, without a test runner: what test files and the program share.
import type { ScanShape } from '@mamba-ts/scan';
import {
  type Check,
  type ScanCase,
  type ScanStorage,
  compareStored,
  everyFeature,
  float32Storage,
  listChecks,
  scanCases,
  testScan,
} from '@mamba-ts/scan/conformance';
import type { DeviceScan } from './device-scan';

/** The suite of @mamba-ts/scan as a list; of all cases, or of those chosen. */
export function contractChecks(
  label: string,
  scan: DeviceScan,
  chosen: (scanCase: ScanCase) => boolean = () => true,
): Check[] {
  const checks = listChecks((hooks) => testScan(hooks, label, () => scan));
  const names = scanCases.filter(chosen).map(({ name }) => `: ${name}`);
  return checks.filter(({ name }) => names.some((end) => name.endsWith(end)));
}

function oneCase(shape: Partial<ScanShape>, seed: number): ScanCase {
  const full: ScanShape = {
    ...{ batch: 2, length: 100, channels: 24, dState: 16, groups: 1, complex: false, variableB: true, variableC: true },
    ...shape,
  };
  const name = `${full.complex ? 'complex' : 'real'} N${full.dState} L${full.length} B${full.batch} D${full.channels} G${full.groups}`;
  return { name, seed: 7000 + seed, shape: full, features: everyFeature };
}

/** Shapes on which every way of running the kernels is tried: each count of lanes, and channels that end within a tile. */
export const wayCases: readonly ScanCase[] = [
  ...[4, 8, 16, 32, 64, 128, 256].map((dState, i) => oneCase({ dState, length: dState > 32 ? 37 : 100 }, i)),
  ...[4, 16, 64].map((dState, i) => oneCase({ dState, complex: true, length: 37, channels: 10 }, 20 + i)),
  oneCase({ channels: 96, groups: 3, batch: 1, length: 203 }, 30),
  oneCase({ channels: 35, dState: 16, length: 130, variableB: false }, 31),
];

/** f16 has 11 bits: results are rounded by up to 2^-12. */
const f16Storage: ScanStorage = {
  name: 'f16',
  round: (values) => Float32Array.from(new Float16Array(values)),
  tolerance: { forward: 6e-4, backward: 1e-3 },
};

/** All cases of the contract, or some, with results compared once. */
export function gridChecks(
  label: string,
  scan: DeviceScan,
  f16 = false,
  cases: readonly ScanCase[] = scanCases,
): Check[] {
  const storage = f16 ? f16Storage : float32Storage;
  return cases.map((scanCase) => ({
    name: `${label}: ${scanCase.name}`,
    body: () => compareStored(scan, scanCase, storage),
  }));
}
