import type { RandomGenerator } from '@mamba-ts/tensor';
import { H3SSM } from '../h3-ssm';
import { Hyena } from '../hyena';
import { HyenaConvolution } from '../hyena-convolution';
import { S4 } from '../s4';
import { S4D, type S4DConfig } from '../s4d';
import { S6, type S6Config } from '../s6';
import { ShiftSSM } from '../shift-ssm';
import { SSD, type SSDConfig } from '../ssd';
import type { LayerFactory } from './subject';

const none = { delta: false, B: false, C: false };
const implicit = { lMax: 200, filterOrder: 4, sineFrequency: 2 };

const s6 =
  (config: Omit<S6Config, 'dModel'>) =>
  (random: RandomGenerator): S6 =>
    new S6({ dModel: 4, dState: 4, ...config }, random);
const s4d =
  (config: Omit<S4DConfig, 'dModel'>) =>
  (random: RandomGenerator): S4D =>
    new S4D({ dModel: 4, dState: 6, ...config }, random);
const ssd =
  (config: Omit<SSDConfig, 'dModel'>) =>
  (random: RandomGenerator): SSD =>
    new SSD({ dModel: 4, headDim: 2, dState: 3, chunkSize: 3, ...config }, random);

/**
 * Every layer of this package in the forms that differ, small enough for the suite. A backend is put to the test by
 *
 *     for (const [name, make] of Object.entries(sequenceLayers))
 *       testSequenceLayer({ describe, it }, name, make, { devices: { mine: openMine } });
 */
export const sequenceLayers: Readonly<Record<string, LayerFactory>> = {
  S4: (random) => new S4({ dModel: 2, dState: 6 }, random),
  'S4 with tied copies, C̃ of 10 samples': (random) =>
    new S4({ dModel: 4, dState: 4, nSsm: 2, kernelLength: 10, learningRate: null, bClip: null }, random),
  'S4D lin, zoh': s4d({ init: 'lin' }),
  'S4D legs, bilinear': s4d({ init: 'legs', discretization: 'bilinear' }),
  'S4D real, zoh': s4d({ init: 'real' }),
  'S4D with tied copies': s4d({ dState: 4, nSsm: 2, learningRate: null }),
  H3SSM: (random) => new H3SSM({ dModel: 4, dState: 4, nSsm: 2 }, random),
  ShiftSSM: (random) => new ShiftSSM({ dModel: 3, dState: 5 }, random),
  'Hyena of order 3': (random) => new Hyena({ dModel: 2, order: 3, ...implicit, embDim: 5, innerMlps: 1 }, random),
  'Hyena’s convolution, normalized': (random) =>
    new HyenaConvolution({ dModel: 3, ...implicit, windowShift: 0.05, normalized: true }, random),
  'S6 of Mamba': s6({}),
  'S6 with dState 1': s6({ dState: 1 }),
  'S6 complex': s6({ aInit: 's4d-lin' }),
  'S6 with random A, constant projection': s6({ aInit: 'random', dtInit: 'constant', dtScale: 0.5 }),
  'S6 with A = -1/2, rank 3': s6({ aInit: 'minus-half', dtRank: 3 }),
  'S6 with static delta (rank 0)': s6({ dtRank: 0 }),
  'S6, only delta selective': s6({ selective: { B: false, C: false } }),
  'S6, only B selective': s6({ selective: { delta: false, C: false } }),
  'S6, only C selective': s6({ selective: { delta: false, B: false } }),
  'S6, nothing selective': s6({ selective: none }),
  'S6 complex, static B': s6({ aInit: 's4d-lin', selective: { B: false } }),
  'S6 complex, nothing selective': s6({ aInit: 's4d-lin', selective: none }),
  'S6 by zero-order hold': s6({ discretization: 'zoh' }),
  'S6 by zero-order hold, complex': s6({ discretization: 'zoh', aInit: 's4d-lin' }),
  'S6 by zero-order hold, static B': s6({ discretization: 'zoh', selective: { B: false } }),
  'SSD, two heads': ssd({}),
  'SSD, two groups, chunks of 1': ssd({ nGroups: 2, chunkSize: 1 }),
  'SSD, one head, D a channel': ssd({ headDim: 4, dPerChannel: true, chunkSize: 4 }),
  'SSD, dt clamped': ssd({ dtLimit: [0.01, 0.5], headDim: 1, nGroups: 2 }),
};
