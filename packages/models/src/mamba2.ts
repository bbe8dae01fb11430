import { OutOfRangeError } from '@mamba-ts/tensor';
import { readAttention } from './attention-config';
import { FieldReader, readerOf } from './field-reader';
import type { LanguageModelConfig } from './language-model';
import type { MambaConfig } from './mamba';

/** The released Mamba-2 models, by name on the Hugging Face hub (state-spaces/…). */
export const mamba2Models: Readonly<Record<string, MambaConfig>> = {
  'mamba2-130m': released(768, 24),
  'mamba2-370m': released(1024, 48),
  'mamba2-780m': released(1536, 48),
  'mamba2-1.3b': released(2048, 48),
  'mamba2-2.7b': released(2560, 64),
  'mamba2attn-2.7b': {
    ...released(2560, 64),
    attn_layer_idx: [9, 18, 27, 36, 45, 56],
    attn_cfg: {
      causal: true,
      d_conv: 4,
      head_dim: 128,
      num_heads: 30,
      out_proj_bias: false,
      qkv_proj_bias: false,
      rotary_emb_dim: 64,
    },
  },
};

function released(d_model: number, n_layer: number): MambaConfig {
  return { d_model, n_layer, vocab_size: 50277, pad_vocab_size_multiple: 16, ssm_cfg: { layer: 'Mamba2' } };
}

/**
 * The config of a Mamba-2 language model from the config.json of an official checkpoint (`ssm_cfg.layer` is Mamba2).
 *
 * @throws OutOfRangeError for fields that are missing, of the wrong type, unknown, or ask for MLP layers
 */
export function fromMamba2Config(json: MambaConfig | unknown): LanguageModelConfig {
  const config = readerOf('Mamba2Config', json);
  config.ignore('residual_in_fp32', 'fused_add_norm');
  config.expect('d_intermediate', 0);
  const blockAt = readAttention(config);
  const ssm = new FieldReader('Mamba2Config: ssm_cfg', config.object('ssm_cfg'));
  ssm.expect('layer', 'Mamba2');
  ssm.expect('d_ssm', null);
  ssm.ignore('use_mem_eff_path', 'chunk_size', 'sequence_parallel', 'process_group');
  const dModel = config.number('d_model');
  const expand = ssm.number('expand', 2);
  const nGroups = ssm.number('ngroups', 1);
  const model: LanguageModelConfig = {
    vocabSize: config.number('vocab_size'),
    dModel,
    nLayer: config.number('n_layer'),
    norm: config.boolean('rms_norm', true) ? 'rms' : 'layer',
    padVocabSizeMultiple: config.number('pad_vocab_size_multiple', 8),
    tieEmbeddings: config.boolean('tie_embeddings', true),
    block: {
      kind: 'mamba2',
      expand,
      dConv: ssm.number('d_conv', 4),
      convBias: ssm.boolean('conv_bias', true),
      convInit: ssm.optionalNumber('conv_init'),
      bias: ssm.boolean('bias', false),
      norm: ssm.boolean('rmsnorm', true),
      normBeforeGate: ssm.boolean('norm_before_gate', false),
      normGroups: nGroups,
    },
    layer: {
      kind: 'ssd',
      dState: ssm.number('d_state', 128),
      headDim: ssm.number('headdim', 64),
      nGroups,
      aInitRange: ssm.range('A_init_range', [1, 16]),
      dtMin: ssm.number('dt_min', 0.001),
      dtMax: ssm.number('dt_max', 0.1),
      dtInitFloor: ssm.number('dt_init_floor', 1e-4),
      dtLimit: ssm.range('dt_limit', [0, Infinity]),
      dPerChannel: ssm.boolean('D_has_hdim', false),
    },
    ...(blockAt && { blockAt }),
  };
  config.finish();
  ssm.finish();
  return model;
}

/**
 * The config of a Mamba-2 language model from the config.json of a Hugging Face checkpoint (`model_type` mamba2). Its
 * tensors have the names of a Mamba-1 checkpoint of that layout: see `mambaKeyFromHuggingFace`.
 */
export function fromHuggingFaceMamba2Config(json: unknown): LanguageModelConfig {
  const config = readerOf('Hugging Face Mamba2Config', json);
  config.expect('model_type', 'mamba2');
  config.expect('hidden_act', 'silu');
  const dModel = config.number('hidden_size');
  const expand = config.number('expand', 2);
  const heads = config.number('num_heads', 128);
  const headDim = config.number('head_dim', 64);
  const normEpsilon = config.number('layer_norm_epsilon', 1e-5);
  if (heads * headDim !== expand * dModel)
    throw new OutOfRangeError(
      `Hugging Face Mamba2Config: num_heads · head_dim is ${heads * headDim}, expected expand · hidden_size = ${expand * dModel}`,
    );
  return {
    vocabSize: config.number('vocab_size'),
    dModel,
    nLayer: config.number('num_hidden_layers'),
    norm: 'rms',
    normEpsilon,
    padVocabSizeMultiple: 1,
    tieEmbeddings: config.boolean('tie_word_embeddings', false),
    block: {
      kind: 'mamba2',
      expand,
      dConv: config.number('conv_kernel', 4),
      convBias: config.boolean('use_conv_bias', true),
      bias: config.boolean('use_bias', false),
      // The library's implementation has this one form, whatever n_groups is: gate, then one norm over all channels.
      norm: true,
      normBeforeGate: false,
      normGroups: 1,
      normEpsilon,
    },
    layer: {
      kind: 'ssd',
      dState: config.number('state_size', 128),
      headDim,
      nGroups: config.number('n_groups', 8),
      dtMin: config.number('time_step_min', 0.001),
      dtMax: config.number('time_step_max', 0.1),
      dtInitFloor: config.number('time_step_floor', 1e-4),
      dtLimit: config.range('time_step_limit', [0, Infinity]),
    },
  };
}
