import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import { filled, kindOf, saidBy } from './choice-settings';

/** The numbers of a Mamba block, every default filled in. */
export interface MambaLayerSettings {
  readonly expand: number;
  readonly dConv: number;
  readonly convBias: boolean;
  readonly bias: boolean;
  readonly dState: number;
  readonly dtRank: number | 'auto';
  readonly dtMin: number;
  readonly dtMax: number;
  readonly dtInit: 'random' | 'constant';
  readonly dtScale: number;
  readonly dtInitFloor: number;
}

/** What Mamba calls default, in the code and in both layouts. */
export const mambaDefaults: MambaLayerSettings = {
  expand: 2,
  dConv: 4,
  convBias: true,
  bias: false,
  dState: 16,
  dtRank: 'auto',
  dtMin: 0.001,
  dtMax: 0.1,
  dtInit: 'random',
  dtScale: 1,
  dtInitFloor: 1e-4,
};

/** Is the model made of Mamba blocks around S6? */
export function isMamba({ block, layer }: LanguageModelConfig): boolean {
  return kindOf(block) === 'mamba' && kindOf(layer) === 's6';
}

/** @throws OutOfRangeError for an S6 that is none of Mamba's: constant Δ, B or C, complex A, exact discretisation */
export function mambaSettings({ block, layer }: LanguageModelConfig): MambaLayerSettings {
  const { selective = {}, aInit = 's4d-real', discretization = 'euler', ...rest } = saidBy(layer);
  const refuse = (name: string, value: unknown, expected: string): never => {
    throw new OutOfRangeError(
      `a Mamba checkpoint: ${name} of the layer is ${JSON.stringify(value)}, expected ${expected}: ` +
        'public layouts have no field for it (saveStateDict writes any model)',
    );
  };
  if (Object.values(selective as object).includes(false)) refuse('selective', selective, 'all of them');
  // The others differ in the values that a checkpoint holds anyway.
  if (aInit === 's4d-lin' || aInit === 'minus-half-plus-ni') refuse('aInit', aInit, 'a real A');
  if (discretization !== 'euler') refuse('discretization', discretization, '"euler"');
  return filled('a Mamba checkpoint', mambaDefaults, { ...saidBy(block), ...rest });
}
