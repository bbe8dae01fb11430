import { readAttention } from './attention-config';
import { FieldReader, readerOf } from './field-reader';
import type { LanguageModelConfig } from './language-model';

/** config.json of the released Mamba checkpoints: the fields of `MambaConfig` of state-spaces/mamba. */
export interface MambaConfig {
  readonly d_model: number;
  readonly n_layer: number;
  readonly vocab_size: number;
  /**
   * Settings of the block: d_state, d_conv, expand, dt_rank, dt_min, dt_max, dt_init, dt_scale, dt_init_floor,
   * conv_bias, bias.
   */
  readonly ssm_cfg?: Readonly<Record<string, unknown>>;
  /** Layers, counted from 0, that are attention instead. */
  readonly attn_layer_idx?: readonly number[];
  /**
   * Their settings: num_heads, num_heads_kv, head_dim, d_conv, mlp_dim, qkv_proj_bias, out_proj_bias, rotary_emb_dim,
   * rotary_emb_base, rotary_emb_interleaved, causal.
   */
  readonly attn_cfg?: Readonly<Record<string, unknown>>;
  readonly rms_norm?: boolean;
  /** Both describe how the official kernels compute; here the residual is always float32. */
  readonly residual_in_fp32?: boolean;
  readonly fused_add_norm?: boolean;
  readonly pad_vocab_size_multiple?: number;
  readonly tie_embeddings?: boolean;
}

/** The released Mamba-1 models, by name on the Hugging Face hub (state-spaces/…). */
export const mambaModels: Readonly<Record<string, MambaConfig>> = {
  'mamba-130m': { d_model: 768, n_layer: 24, vocab_size: 50277 },
  'mamba-370m': { d_model: 1024, n_layer: 48, vocab_size: 50277 },
  'mamba-790m': { d_model: 1536, n_layer: 48, vocab_size: 50277 },
  'mamba-1.4b': { d_model: 2048, n_layer: 48, vocab_size: 50277 },
  'mamba-2.8b': { d_model: 2560, n_layer: 64, vocab_size: 50277 },
  'mamba-2.8b-slimpj': { d_model: 2560, n_layer: 64, vocab_size: 50277 },
};

/**
 * The config of a Mamba language model from the config.json of an official checkpoint.
 *
 * @throws OutOfRangeError for fields that are missing, of the wrong type, unknown, or ask for Mamba-2 or MLP layers
 */
export function fromMambaConfig(json: MambaConfig | unknown): LanguageModelConfig {
  const config = readerOf('MambaConfig', json);
  config.ignore('residual_in_fp32', 'fused_add_norm');
  config.expect('d_intermediate', 0);
  const blockAt = readAttention(config);
  const ssm = new FieldReader('MambaConfig: ssm_cfg', config.object('ssm_cfg'));
  ssm.expect('layer', 'Mamba1');
  ssm.ignore('use_fast_path');
  const model: LanguageModelConfig = {
    vocabSize: config.number('vocab_size'),
    dModel: config.number('d_model'),
    nLayer: config.number('n_layer'),
    norm: config.boolean('rms_norm', true) ? 'rms' : 'layer',
    padVocabSizeMultiple: config.number('pad_vocab_size_multiple', 8),
    tieEmbeddings: config.boolean('tie_embeddings', true),
    block: {
      kind: 'mamba',
      expand: ssm.number('expand', 2),
      dConv: ssm.number('d_conv', 4),
      convBias: ssm.boolean('conv_bias', true),
      bias: ssm.boolean('bias', false),
    },
    layer: {
      kind: 's6',
      dState: ssm.number('d_state', 16),
      dtRank: ssm.rank('dt_rank'),
      dtMin: ssm.number('dt_min', 0.001),
      dtMax: ssm.number('dt_max', 0.1),
      dtInit: ssm.oneOf('dt_init', ['random', 'constant'], 'random'),
      dtScale: ssm.number('dt_scale', 1),
      dtInitFloor: ssm.number('dt_init_floor', 1e-4),
    },
    ...(blockAt && { blockAt }),
  };
  config.finish();
  ssm.finish();
  return model;
}

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
    vocabSize: config.number('vocab_size'),
    dModel,
    nLayer: config.number('num_hidden_layers'),
    norm: 'rms',
    normEpsilon: config.number('layer_norm_epsilon', 1e-5),
    padVocabSizeMultiple: 1,
    tieEmbeddings: config.boolean('tie_word_embeddings', true),
    block: {
      kind: 'mamba',
      expand: config.number('intermediate_size', dModel * config.number('expand', 2)) / dModel,
      dConv: config.number('conv_kernel', 4),
      convBias: config.boolean('use_conv_bias', true),
      bias: config.boolean('use_bias', true),
    },
    layer: {
      kind: 's6',
      dState: config.number('state_size', 16),
      dtRank: config.rank('time_step_rank'),
      dtMin: config.number('time_step_min', 0.001),
      dtMax: config.number('time_step_max', 0.1),
      dtInit: config.oneOf('time_step_init_scheme', ['random', 'constant'], 'random'),
      dtScale: config.number('time_step_scale', 1),
      dtInitFloor: config.number('time_step_floor', 1e-4),
    },
  };
}

/** The name here of a tensor of a Hugging Face checkpoint: the `rename` of `loadStateDict`. */
export function mambaKeyFromHuggingFace(key: string): string {
  return key === 'backbone.embeddings.weight' ? 'backbone.embedding.weight' : key;
}
