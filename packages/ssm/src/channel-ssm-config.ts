import type { ParameterMetadata } from '@mamba-ts/nn';
import { OutOfRangeError } from '@mamba-ts/tensor';
import { checkPositive, checkSize, checkTimeSteps } from './check-config';
import type { TimeStepRange } from './time-step-init';

/** What the layers of fixed SSMs, one a channel, have in common: S4, S4D, H3's. */
export interface ChannelSsmConfig extends TimeStepRange {
  /** Width H: one SSM a channel. */
  readonly dModel: number;
  /** Real states a channel, N: N/2 complex numbers (all N are real poles with init `real`). Default 64. */
  readonly dState?: number;
  /** Independent copies of A and B (and P), a divisor of dModel; channel h has copy h mod nSsm. Default dModel. */
  readonly nSsm?: number;
  /** Largest initial B of HiPPO-LegS, null for its own. Default 2, as the s4 repository. */
  readonly bClip?: number | null;
  /** Peak learning rate of Δ, A, B (and P); null for the optimiser's. Default 0.001; they get no weight decay. */
  readonly learningRate?: number | null;
}

export const channelSsmSettings: Readonly<Record<keyof ChannelSsmConfig, true>> = {
  dModel: true,
  dState: true,
  nSsm: true,
  bClip: true,
  learningRate: true,
  dtMin: true,
  dtMax: true,
};

/** @throws OutOfRangeError for sizes that make no sense */
export function checkChannelSsm(layer: string, config: ChannelSsmConfig): void {
  const { dModel, dState = 64, nSsm = dModel, bClip = 2, dtMin = 0.001, dtMax = 0.1 } = config;
  checkSize(layer, 'dModel', dModel);
  checkSize(layer, 'dState', dState);
  checkSize(layer, 'nSsm', nSsm);
  checkTimeSteps(layer, dtMin, dtMax);
  if (bClip !== null) checkPositive(layer, 'bClip', bClip);
  if (dModel % nSsm !== 0)
    throw new OutOfRangeError(`${layer}: nSsm is ${nSsm}, expected a divisor of dModel (${dModel})`);
}

/** How Δ, A, B and P are to be trained: a larger rate makes Δ explode. */
export function ssmMetadata({ learningRate = 0.001 }: ChannelSsmConfig): ParameterMetadata {
  return learningRate === null ? { weightDecay: false } : { learningRate, weightDecay: false };
}
