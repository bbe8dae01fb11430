import type { Module } from '@mamba-ts/nn';
import type { SequenceLayer } from '@mamba-ts/ssm';
import type { RandomGenerator } from '@mamba-ts/tensor';
import { scope } from '@mamba-ts/tensor';
import { type Family, notYetCovered, unusable } from './family';
import { caseNames, type FixtureCase, readCase } from './fixture-case';
import { checkLayer, type LayerCheck } from './layer-case';
import { onDevices } from './parity-device';

/** A layer, and how to check it. */
export interface Described extends LayerCheck {
  readonly layer: Module & SequenceLayer;
}

/**
 * A family of fixtures of one kind of layer.
 *
 * @param describe makes the layer of a fixture's settings; undefined where they ask for what there is not
 */
export function layerFamily(
  name: string,
  describe: (fixture: FixtureCase) => ((random: RandomGenerator) => Described) | undefined,
): Family {
  return {
    name,
    check: (folder) =>
      onDevices(async function* (devices) {
        for (const caseName of await caseNames(folder, '.safetensors')) {
          try {
            const fixture = await readCase(folder, caseName);
            const make = describe(fixture);
            if (make === undefined) {
              yield notYetCovered(caseName);
              continue;
            }
            for (const on of devices) {
              yield* scope(() => {
                const { layer, ...check } = make(on.random);
                return checkLayer(fixture, on, layer, check);
              });
            }
            for (const tensor of fixture.leftOver()) yield unusable(caseName, `nothing compares its tensor ${tensor}`);
          } catch (error) {
            yield unusable(caseName, (error as Error).message);
          }
        }
      }),
  };
}

/** A setting that must be a number. */
export function numberSetting({ settings }: FixtureCase, name: string): number {
  const value = settings[name];
  if (typeof value !== 'number') throw new Error(`setting ${name} is missing or no number`);
  return value;
}
