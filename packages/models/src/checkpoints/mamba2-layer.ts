import type { LanguageModelConfig } from '../language-model';
import { filled, kindOf, saidBy } from './choice-settings';

/** The numbers of a Mamba-2 block, every default filled in. */
export interface Mamba2LayerSettings {
  readonly expand: number;
  readonly dConv: number;
  readonly convBias: boolean;
  readonly convInit: number | null;
  readonly bias: boolean;
  readonly norm: boolean;
  readonly normBeforeGate: boolean;
  readonly normGroups: number;
  readonly normEpsilon: number;
  readonly dState: number;
  readonly headDim: number;
  readonly nGroups: number;
  readonly aInitRange: readonly [number, number];
  readonly dtMin: number;
  readonly dtMax: number;
  readonly dtInitFloor: number;
  readonly dtLimit: readonly [number, number];
  readonly dPerChannel: boolean;
}

/** What Mamba-2 calls default in the official code. */
export const mamba2Defaults: Mamba2LayerSettings = {
  expand: 2,
  dConv: 4,
  convBias: true,
  convInit: null,
  bias: false,
  norm: true,
  normBeforeGate: false,
  normGroups: 1,
  normEpsilon: 1e-5,
  dState: 128,
  headDim: 64,
  nGroups: 1,
  aInitRange: [1, 16],
  dtMin: 0.001,
  dtMax: 0.1,
  dtInitFloor: 1e-4,
  dtLimit: [0, Infinity],
  dPerChannel: false,
};

/** Is the model made of Mamba-2 blocks around SSD? */
export function isMamba2({ block, layer }: LanguageModelConfig): boolean {
  return kindOf(block) === 'mamba2' && kindOf(layer) === 'ssd';
}

export function mamba2Settings({ block, layer }: LanguageModelConfig): Mamba2LayerSettings {
  // How many steps are computed at once changes nothing.
  const { chunkSize: _chunkSize, ...rest } = saidBy(layer);
  return filled('a Mamba-2 checkpoint', mamba2Defaults, { ...saidBy(block), ...rest });
}
