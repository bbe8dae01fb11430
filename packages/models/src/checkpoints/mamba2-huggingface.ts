import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import { type Fields, readerOf } from './field-reader';
import type { CheckpointFormat } from './format';
import { commonFields, keyFromHuggingFace, keyToHuggingFace, readVocabulary } from './huggingface';
import { isMamba2, mamba2Defaults, mamba2Settings } from './mamba2-layer';
import { infinity } from './mamba2-official';

/**
 * The config of a Mamba-2 language model from the config.json of a Hugging Face checkpoint (`model_type` mamba2). Its
 * tensors have the names of a Mamba-1 checkpoint of that layout: see `mambaKeyFromHuggingFace`.
 */
export function fromHuggingFaceMamba2Config(json: unknown): LanguageModelConfig {
  const config = readerOf('Hugging Face Mamba2Config', json);
  config.expect('model_type', 'mamba2');
  config.expect('hidden_act', 'silu');
  const dModel = config.number('hidden_size');
  const expand = config.number('expand', mamba2Defaults.expand);
  const heads = config.number('num_heads', 128);
  const headDim = config.number('head_dim', mamba2Defaults.headDim);
  const normEpsilon = config.number('layer_norm_epsilon', 1e-5);
  if (heads * headDim !== expand * dModel)
    throw new OutOfRangeError(
      `Hugging Face Mamba2Config: num_heads · head_dim is ${heads * headDim}, expected expand · hidden_size = ${expand * dModel}`,
    );
  return {
    ...readVocabulary(config),
    dModel,
    nLayer: config.number('num_hidden_layers'),
    norm: 'rms',
    normEpsilon,
    tieEmbeddings: config.boolean('tie_word_embeddings', false),
    block: {
      kind: 'mamba2',
      expand,
      dConv: config.number('conv_kernel', mamba2Defaults.dConv),
      convBias: config.boolean('use_conv_bias', mamba2Defaults.convBias),
      bias: config.boolean('use_bias', mamba2Defaults.bias),
      // The library's implementation has this one form, whatever n_groups is: gate, then one norm over all channels.
      norm: true,
      normBeforeGate: false,
      normGroups: 1,
      normEpsilon,
    },
    layer: {
      kind: 'ssd',
      dState: config.number('state_size', mamba2Defaults.dState),
      headDim,
      nGroups: config.number('n_groups', 8),
      dtMin: config.number('time_step_min', mamba2Defaults.dtMin),
      dtMax: config.number('time_step_max', mamba2Defaults.dtMax),
      dtInitFloor: config.number('time_step_floor', mamba2Defaults.dtInitFloor),
      dtLimit: config.range('time_step_limit', mamba2Defaults.dtLimit),
    },
  };
}

function toHuggingFaceMamba2Config(config: LanguageModelConfig): Fields {
  const { dModel, normEpsilon = 1e-5 } = config;
  const settings = mamba2Settings(config);
  const { norm, normBeforeGate, normGroups, dPerChannel, dtLimit } = settings;
  const expected = { norm: true, normBeforeGate: false, normGroups: 1, dPerChannel: false, normEpsilon };
  const said = { norm, normBeforeGate, normGroups, dPerChannel, normEpsilon: settings.normEpsilon };
  for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
    if (said[name] !== expected[name])
      throw new OutOfRangeError(
        `huggingface layout: ${name} of the Mamba-2 block is ${said[name]}, expected ${expected[name]}, the only one it has`,
      );
  }
  const [least, most] = dtLimit;
  return {
    architectures: ['Mamba2ForCausalLM'],
    model_type: 'mamba2',
    ...commonFields(config),
    expand: settings.expand,
    num_heads: (settings.expand * dModel) / settings.headDim,
    head_dim: settings.headDim,
    n_groups: settings.nGroups,
    conv_kernel: settings.dConv,
    use_conv_bias: settings.convBias,
    use_bias: settings.bias,
    state_size: settings.dState,
    time_step_rank: Math.ceil(dModel / 16),
    time_step_min: settings.dtMin,
    time_step_max: settings.dtMax,
    time_step_floor: settings.dtInitFloor,
    // The default stands in no file: JSON has no infinity, and not every version reads the same name for it.
    ...(least === 0 && most === Infinity ? {} : { time_step_limit: [least, most === Infinity ? infinity : most] }),
    rms_norm: true,
    chunk_size: 256,
  };
}

/** Mamba-2 as transformers publishes it. */
export const mamba2HuggingFace: CheckpointFormat = {
  layout: 'huggingface',
  family: 'mamba2',
  recognizes: (config) => config.model_type === 'mamba2',
  readConfig: fromHuggingFaceMamba2Config,
  describes: (config) => isMamba2(config) && Object.keys(config.blockAt ?? {}).length === 0,
  writeConfig: toHuggingFaceMamba2Config,
  fromFile: keyFromHuggingFace,
  toFile: keyToHuggingFace,
};
