import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import { changedFields } from './choice-settings';
import type { Fields } from './field-reader';
import type { CheckpointFormat } from './format';
import { isMamba2, mamba2Defaults, type Mamba2LayerSettings, mamba2Settings } from './mamba2-layer';
import { isOfficial, type MambaConfig, readOfficialConfig, writeOfficialConfig } from './official';

/** Fields of `ssm_cfg`, the arguments of the official `Mamba2`; its norm has as many groups as B and C, and one epsilon. */
const names = {
  expand: 'expand',
  dConv: 'd_conv',
  convBias: 'conv_bias',
  convInit: 'conv_init',
  bias: 'bias',
  norm: 'rmsnorm',
  normBeforeGate: 'norm_before_gate',
  dState: 'd_state',
  headDim: 'headdim',
  nGroups: 'ngroups',
  aInitRange: 'A_init_range',
  dtMin: 'dt_min',
  dtMax: 'dt_max',
  dtInitFloor: 'dt_init_floor',
  dtLimit: 'dt_limit',
  dPerChannel: 'D_has_hdim',
} as const satisfies Partial<Record<keyof Mamba2LayerSettings, string>>;

/**
 * The config of a Mamba-2 language model from the config.json of an official checkpoint (`ssm_cfg.layer` is Mamba2).
 *
 * @throws OutOfRangeError for fields that are missing, of the wrong type, unknown, or ask for MLP layers
 */
export function fromMamba2Config(json: MambaConfig | unknown): LanguageModelConfig {
  return readOfficialConfig('Mamba2Config', json, (ssm) => {
    ssm.expect('layer', 'Mamba2');
    ssm.expect('d_ssm', null);
    ssm.ignore('use_mem_eff_path', 'chunk_size', 'sequence_parallel', 'process_group');
    const nGroups = ssm.number(names.nGroups, mamba2Defaults.nGroups);
    return {
      block: {
        kind: 'mamba2',
        expand: ssm.number(names.expand, mamba2Defaults.expand),
        dConv: ssm.number(names.dConv, mamba2Defaults.dConv),
        convBias: ssm.boolean(names.convBias, mamba2Defaults.convBias),
        convInit: ssm.optionalNumber(names.convInit),
        bias: ssm.boolean(names.bias, mamba2Defaults.bias),
        norm: ssm.boolean(names.norm, mamba2Defaults.norm),
        normBeforeGate: ssm.boolean(names.normBeforeGate, mamba2Defaults.normBeforeGate),
        normGroups: nGroups,
      },
      layer: {
        kind: 'ssd',
        dState: ssm.number(names.dState, mamba2Defaults.dState),
        headDim: ssm.number(names.headDim, mamba2Defaults.headDim),
        nGroups,
        aInitRange: ssm.range(names.aInitRange, mamba2Defaults.aInitRange),
        dtMin: ssm.number(names.dtMin, mamba2Defaults.dtMin),
        dtMax: ssm.number(names.dtMax, mamba2Defaults.dtMax),
        dtInitFloor: ssm.number(names.dtInitFloor, mamba2Defaults.dtInitFloor),
        dtLimit: ssm.range(names.dtLimit, mamba2Defaults.dtLimit),
        dPerChannel: ssm.boolean(names.dPerChannel, mamba2Defaults.dPerChannel),
      },
    };
  });
}

/** The reverse: only what is not the default stands in `ssm_cfg`, as in the released files. */
function toMamba2Config(config: LanguageModelConfig): Fields {
  const settings = mamba2Settings(config);
  const { norm, normGroups, nGroups, normEpsilon, dtLimit } = settings;
  if (norm && (normGroups !== nGroups || normEpsilon !== mamba2Defaults.normEpsilon))
    throw new OutOfRangeError(
      `official layout: the block's norm has ${normGroups} groups and epsilon ${normEpsilon}, ` +
        `expected as many groups as the layer, ${nGroups}, and 1e-5, the only ones that it has`,
    );
  const changed = changedFields(settings, mamba2Defaults, names);
  const limit = dtLimit[1] === Infinity && 'dt_limit' in changed ? { dt_limit: [dtLimit[0], infinity] } : {};
  return writeOfficialConfig(config, { layer: 'Mamba2', ...changed, ...limit });
}

/** JSON has none: as transformers writes it. */
export const infinity: Fields = { __float__: 'Infinity' };

/** Mamba-2 as state-spaces publishes it: the model's own keys. */
export const mamba2Official: CheckpointFormat = {
  layout: 'official',
  family: 'mamba2',
  recognizes: (config) => isOfficial(config, 'Mamba2'),
  readConfig: fromMamba2Config,
  describes: isMamba2,
  writeConfig: toMamba2Config,
  fromFile: (name) => name,
  toFile: (key) => key,
};
