import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import { kindOf } from './choice-settings';
import { type Fields, isFields } from './field-reader';
import type { CheckpointFormat, Layout } from './format';
import { mambaHuggingFace } from './mamba-huggingface';
import { mambaOfficial } from './mamba-official';
import { mamba2HuggingFace } from './mamba2-huggingface';
import { mamba2Official } from './mamba2-official';

/** Every family in every layout; one more is one more file, and one more entry. */
export const checkpointFormats: CheckpointFormat[] = [
  mambaOfficial,
  mambaHuggingFace,
  mamba2Official,
  mamba2HuggingFace,
];

/** The format of a config.json. @throws OutOfRangeError if it is of none */
export function formatOfConfig(config: unknown): CheckpointFormat {
  const found = isFields(config) ? checkpointFormats.find((format) => format.recognizes(config)) : undefined;
  if (found) return found;
  const known = checkpointFormats.map(({ family, layout }) => `${family} (${layout})`).join(', ');
  throw new OutOfRangeError(`config.json: ${whatItSays(config)}, expected a model of ${known}`);
}

/** The format of a layout that has words for this model. @throws OutOfRangeError if there is none */
export function formatForModel(config: LanguageModelConfig, layout: Layout): CheckpointFormat {
  const found = checkpointFormats.find((format) => format.layout === layout && format.describes(config));
  if (found) return found;
  throw new OutOfRangeError(
    `savePretrained: no checkpoint of layout ${layout} has block ${kindOf(config.block)} with layer ${kindOf(config.layer)}; ` +
      'saveStateDict writes any model',
  );
}

function whatItSays(config: unknown): string {
  if (!isFields(config)) return 'it holds no object';
  const { model_type: type, ssm_cfg: ssm } = config;
  if (type !== undefined) return `model_type is ${JSON.stringify(type)}`;
  if (isFields(ssm) && ssm.layer !== undefined) return `ssm_cfg.layer is ${JSON.stringify(ssm.layer)}`;
  const names: readonly string[] = Object.keys(config as Fields);
  return `its fields are ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`;
}
