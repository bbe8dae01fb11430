import type { LanguageModelConfig } from '../language-model';
import { changedFields } from './choice-settings';
import type { Fields } from './field-reader';
import type { CheckpointFormat } from './format';
import { isMamba, mambaDefaults, mambaSettings, type MambaLayerSettings } from './mamba-layer';
import { isOfficial, type MambaConfig, readOfficialConfig, writeOfficialConfig } from './official';

/** Fields of `ssm_cfg`, the arguments of the official `Mamba`. */
const names: Readonly<Record<keyof MambaLayerSettings, string>> = {
  expand: 'expand',
  dConv: 'd_conv',
  convBias: 'conv_bias',
  bias: 'bias',
  dState: 'd_state',
  dtRank: 'dt_rank',
  dtMin: 'dt_min',
  dtMax: 'dt_max',
  dtInit: 'dt_init',
  dtScale: 'dt_scale',
  dtInitFloor: 'dt_init_floor',
};

/**
 * The config of a Mamba language model from the config.json of an official checkpoint.
 *
 * @throws OutOfRangeError for fields that are missing, of the wrong type, unknown, or ask for Mamba-2 or MLP layers
 */
export function fromMambaConfig(json: MambaConfig | unknown): LanguageModelConfig {
  return readOfficialConfig('MambaConfig', json, (ssm) => {
    ssm.expect('layer', 'Mamba1');
    ssm.ignore('use_fast_path');
    return {
      block: {
        kind: 'mamba',
        expand: ssm.number(names.expand, mambaDefaults.expand),
        dConv: ssm.number(names.dConv, mambaDefaults.dConv),
        convBias: ssm.boolean(names.convBias, mambaDefaults.convBias),
        bias: ssm.boolean(names.bias, mambaDefaults.bias),
      },
      layer: {
        kind: 's6',
        dState: ssm.number(names.dState, mambaDefaults.dState),
        dtRank: ssm.rank(names.dtRank),
        dtMin: ssm.number(names.dtMin, mambaDefaults.dtMin),
        dtMax: ssm.number(names.dtMax, mambaDefaults.dtMax),
        dtInit: ssm.oneOf(names.dtInit, ['random', 'constant'], 'random'),
        dtScale: ssm.number(names.dtScale, mambaDefaults.dtScale),
        dtInitFloor: ssm.number(names.dtInitFloor, mambaDefaults.dtInitFloor),
      },
    };
  });
}

/** The reverse: only what is not the default stands in `ssm_cfg`, as in the released files. */
function toMambaConfig(config: LanguageModelConfig): Fields {
  return writeOfficialConfig(config, changedFields(mambaSettings(config), mambaDefaults, names));
}

/** Mamba as state-spaces publishes it: the model's own keys. */
export const mambaOfficial: CheckpointFormat = {
  layout: 'official',
  family: 'mamba',
  recognizes: (config) => isOfficial(config, 'Mamba1'),
  readConfig: fromMambaConfig,
  describes: isMamba,
  writeConfig: toMambaConfig,
  fromFile: (name) => name,
  toFile: (key) => key,
};
