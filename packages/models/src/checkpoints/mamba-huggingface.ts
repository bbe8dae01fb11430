import type { LanguageModelConfig } from '../language-model';
import { type Fields, readerOf } from './field-reader';
import type { CheckpointFormat } from './format';
import { commonFields, keyFromHuggingFace, keyToHuggingFace, readVocabulary } from './huggingface';
import { isMamba, mambaDefaults, mambaSettings } from './mamba-layer';

/**
 * The config of a Mamba language model from the config.json of a Hugging Face checkpoint (`model_type` mamba;
 * state-spaces/mamba-…-hf). Its tensors have the same names, but for `backbone.embeddings.weight`: see
 * `mambaKeyFromHuggingFace`.
 */
export function fromHuggingFaceMambaConfig(json: unknown): LanguageModelConfig {
  const config = readerOf('Hugging Face MambaConfig', json);
  config.expect('model_type', 'mamba');
  config.expect('hidden_act', 'silu');
  const dModel = config.number('hidden_size');
  // Fields of the file that do not concern the model's shape are many and change from version to version: the rest is
  // left unread.
  return {
    ...readVocabulary(config),
    dModel,
    nLayer: config.number('num_hidden_layers'),
    norm: 'rms',
    normEpsilon: config.number('layer_norm_epsilon', 1e-5),
    tieEmbeddings: config.boolean('tie_word_embeddings', true),
    block: {
      kind: 'mamba',
      expand: config.number('intermediate_size', dModel * config.number('expand', mambaDefaults.expand)) / dModel,
      dConv: config.number('conv_kernel', mambaDefaults.dConv),
      convBias: config.boolean('use_conv_bias', mambaDefaults.convBias),
      // transformers' own default; released files say false.
      bias: config.boolean('use_bias', true),
    },
    layer: {
      kind: 's6',
      dState: config.number('state_size', mambaDefaults.dState),
      dtRank: config.rank('time_step_rank'),
      dtMin: config.number('time_step_min', mambaDefaults.dtMin),
      dtMax: config.number('time_step_max', mambaDefaults.dtMax),
      dtInit: config.oneOf('time_step_init_scheme', ['random', 'constant'], 'random'),
      dtScale: config.number('time_step_scale', mambaDefaults.dtScale),
      dtInitFloor: config.number('time_step_floor', mambaDefaults.dtInitFloor),
    },
  };
}

function toHuggingFaceMambaConfig(config: LanguageModelConfig): Fields {
  const { dModel } = config;
  const settings = mambaSettings(config);
  return {
    architectures: ['MambaForCausalLM'],
    model_type: 'mamba',
    ...commonFields(config),
    expand: settings.expand,
    intermediate_size: settings.expand * dModel,
    conv_kernel: settings.dConv,
    use_conv_bias: settings.convBias,
    use_bias: settings.bias,
    state_size: settings.dState,
    time_step_rank: settings.dtRank === 'auto' ? Math.ceil(dModel / 16) : settings.dtRank,
    time_step_min: settings.dtMin,
    time_step_max: settings.dtMax,
    time_step_init_scheme: settings.dtInit,
    time_step_scale: settings.dtScale,
    time_step_floor: settings.dtInitFloor,
  };
}

/** The name here of a tensor of a Hugging Face checkpoint: the `rename` of `loadStateDict`. */
export const mambaKeyFromHuggingFace: (name: string) => string = keyFromHuggingFace;

/** Mamba as transformers publishes it. */
export const mambaHuggingFace: CheckpointFormat = {
  layout: 'huggingface',
  family: 'mamba',
  recognizes: (config) => config.model_type === 'mamba',
  readConfig: fromHuggingFaceMambaConfig,
  describes: (config) => isMamba(config) && Object.keys(config.blockAt ?? {}).length === 0,
  writeConfig: toHuggingFaceMambaConfig,
  fromFile: keyFromHuggingFace,
  toFile: keyToHuggingFace,
};
