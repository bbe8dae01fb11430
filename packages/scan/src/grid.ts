// The contract's cases: which scans an implementation is tried on, and their data, the same on every machine.
import {
  type ScanArgument,
  type ScanInputs,
  type ScanOptions,
  type ScanOutputGradients,
  type ScanShape,
  scanSize,
} from './types';

/** Which optional parts a case has. */
export interface ScanFeatures {
  readonly D: boolean;
  readonly z: boolean;
  readonly deltaBias: boolean;
  readonly deltaSoftplus: boolean;
  readonly initialState: boolean;
  readonly resets: boolean;
  /** Backward gets a gradient of the last state. */
  readonly gradLastState: boolean;
}

export interface ScanCase {
  /** Says what it is, e.g. `real B var C const N16 L65 B2 D5 G1 +D+z`. */
  readonly name: string;
  readonly seed: number;
  readonly shape: ScanShape;
  readonly features: ScanFeatures;
}

const allFeatures: ScanFeatures = {
  D: true,
  z: true,
  deltaBias: true,
  deltaSoftplus: true,
  initialState: true,
  resets: true,
  gradLastState: true,
};
const noFeatures: ScanFeatures = {
  D: false,
  z: false,
  deltaBias: false,
  deltaSoftplus: false,
  initialState: false,
  resets: false,
  gradLastState: false,
};

const baseShape: ScanShape = {
  batch: 2,
  length: 37,
  channels: 6,
  dState: 4,
  groups: 1,
  complex: false,
  variableB: true,
  variableC: true,
};

function describeCase(shape: ScanShape, features: ScanFeatures): string {
  const kind = (variable: boolean): string => (variable ? 'var' : 'const');
  const sizes = `N${shape.dState} L${shape.length} B${shape.batch} D${shape.channels} G${shape.groups}`;
  const options = (Object.keys(features) as (keyof ScanFeatures)[])
    .filter((name) => features[name])
    .map((name) => `+${name}`);
  const number = shape.complex ? 'complex' : 'real';
  return `${number} B ${kind(shape.variableB)} C ${kind(shape.variableC)} ${sizes} ${options.join('') || 'plain'}`;
}

function listCases(): ScanCase[] {
  const cases: ScanCase[] = [];
  const add = (shape: Partial<ScanShape>, features: Partial<ScanFeatures>): void => {
    const full = { ...baseShape, ...shape };
    const all = { ...noFeatures, ...features };
    cases.push({ name: describeCase(full, all), seed: 1000 + cases.length, shape: full, features: all });
  };
  const booleans = [true, false];
  for (const complex of booleans) {
    // constant and variable coefficients, with everything and with nothing
    for (const variableB of booleans) {
      for (const variableC of booleans) {
        add({ complex, variableB, variableC }, noFeatures);
        add({ complex, variableB, variableC, length: 130, channels: 21 }, allFeatures);
        add({ complex, variableB, variableC, dState: 3, length: 9, channels: 3 }, { ...allFeatures, resets: false });
      }
    }
    // groups up to one per channel, and blocks of channels that end within one
    for (const [channels, groups] of [
      [12, 2],
      [12, 3],
      [6, 6],
      [40, 2],
      [66, 2],
      [34, 17],
    ]) {
      add({ complex, channels, groups }, { ...allFeatures, resets: groups === 3 });
    }
    add({ complex, channels: 8, groups: 4, variableC: false }, allFeatures);
    add({ complex, channels: 8, groups: 4, variableB: false }, allFeatures);
    // states
    for (const dState of [1, 2, 3, 5, 8, 16, 64, 256]) {
      add(
        { complex, dState, length: dState > 16 ? 11 : 70, channels: 5 },
        { D: true, z: true, deltaSoftplus: true, initialState: true },
      );
    }
    // lengths around the sizes that kernels like, and a single step
    for (const length of [1, 2, 63, 64, 65, 128, 257])
      add({ complex, length }, { ...allFeatures, resets: length % 2 === 1 });
    add({ complex, length: 1, batch: 1, channels: 1, dState: 1 }, noFeatures);
    add({ complex, length: 200, batch: 1, channels: 4 }, { deltaSoftplus: true, resets: true, gradLastState: true });
    // channels around those sizes
    for (const channels of [1, 2, 3, 4, 15, 16, 17, 33, 300]) {
      add({ complex, channels, length: 20, batch: 1 }, { ...allFeatures, z: channels % 2 === 1 });
    }
    // each option alone
    for (const name of Object.keys(noFeatures) as (keyof ScanFeatures)[]) add({ complex }, { [name]: true });
  }
  return cases;
}

/** All cases of the contract. */
export const scanCases: readonly ScanCase[] = /* @__PURE__ */ listCases();

/** Uniform numbers in [0, 1) from a 32-bit counter that is mixed (splitmix-like), the same in every engine. */
export function uniformSource(seed: number): () => number {
  let counter = Math.imul(seed, 0x9e3779b1) >>> 0;
  return () => {
    counter = (counter + 0x6d2b79f5) >>> 0;
    let x = counter;
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface ScanCaseData {
  readonly inputs: ScanInputs;
  readonly options: ScanOptions;
  readonly gradients: ScanOutputGradients;
}

/**
 * Data of a case: decays between slow and fast, both signs everywhere else; the numbers are float32, so that every
 * implementation and the reference start from the same ones.
 */
export function scanCaseData({ seed, shape, features }: ScanCase): ScanCaseData {
  const uniform = uniformSource(seed);
  const array = (name: ScanArgument | 'y' | 'lastState', value: (index: number) => number): Float32Array =>
    Float32Array.from({ length: scanSize(shape, name) }, (_, index) => value(index));
  const signed = (): number => 2 * uniform() - 1;
  const u = array('u', signed);
  // softplus(delta + bias) then lies about 0.1 .. 0.7; without softplus dt is itself in 0 .. 0.8
  const delta = array('delta', () => (features.deltaSoftplus ? 2 * signed() - 1 : 0.8 * uniform()));
  const decay = (index: number): number => (shape.complex && index % 2 === 1 ? 6 * signed() : -0.05 - 2 * uniform());
  const inputs = {
    u,
    delta,
    A: array('A', decay),
    B: array('B', signed),
    C: array('C', signed),
    ...(features.D && { D: array('D', signed) }),
    ...(features.z && { z: array('z', () => 3 * signed()) }),
    ...(features.deltaBias && { deltaBias: array('deltaBias', () => (features.deltaSoftplus ? -1 : 0.1) * uniform()) }),
    ...(features.initialState && { initialState: array('initialState', signed) }),
    ...(features.resets && {
      resets: Int32Array.from({ length: shape.batch * shape.length }, () => (uniform() < 0.1 ? 1 : 0)),
    }),
  };
  const y = array('y', signed);
  const gradients = features.gradLastState ? { y, lastState: array('lastState', signed) } : { y };
  return { inputs, options: { deltaSoftplus: features.deltaSoftplus }, gradients };
}
