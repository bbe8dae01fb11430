import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import { readAttention, writeAttention } from './attention-official';
import { FieldReader, type Fields, isFields, readerOf } from './field-reader';

/* What every config.json of state-spaces/mamba says, whatever its layers are: the fields of its `MambaConfig`. */

/** config.json of the released checkpoints: the fields of `MambaConfig` of state-spaces/mamba. */
export interface MambaConfig {
  readonly d_model: number;
  readonly n_layer: number;
  readonly vocab_size: number;
  /**
   * Settings of the block: `layer` (Mamba1 or Mamba2) and its arguments: d_state, d_conv, expand, dt_rank, dt_min,
   * dt_max, dt_init, dt_scale, dt_init_floor, conv_bias, bias, …
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

/** The part of a config that `ssm_cfg` describes. */
export type OfficialLayer = Pick<LanguageModelConfig, 'block' | 'layer'>;

/** Is this a config.json of state-spaces/mamba with this `ssm_cfg.layer`? (Those of transformers may hold its fields too.) */
export function isOfficial(config: Fields, layer: 'Mamba1' | 'Mamba2'): boolean {
  const said = isFields(config.ssm_cfg) ? config.ssm_cfg.layer : undefined;
  return 'd_model' in config && !('model_type' in config) && (said ?? 'Mamba1') === layer;
}

/**
 * @param where for messages
 * @param readLayer reads `ssm_cfg`; what it leaves unread is refused
 */
export function readOfficialConfig(
  where: string,
  json: unknown,
  readLayer: (ssm: FieldReader) => OfficialLayer,
): LanguageModelConfig {
  const config = readerOf(where, json);
  config.ignore('residual_in_fp32', 'fused_add_norm');
  config.expect('d_intermediate', 0);
  const blockAt = readAttention(config);
  const ssm = new FieldReader(`${where}: ssm_cfg`, config.object('ssm_cfg'));
  const model: LanguageModelConfig = {
    vocabSize: config.number('vocab_size'),
    dModel: config.number('d_model'),
    nLayer: config.number('n_layer'),
    norm: config.boolean('rms_norm', true) ? 'rms' : 'layer',
    padVocabSizeMultiple: config.number('pad_vocab_size_multiple', 8),
    tieEmbeddings: config.boolean('tie_embeddings', true),
    ...readLayer(ssm),
    ...(blockAt && { blockAt }),
  };
  config.finish();
  ssm.finish();
  return model;
}

/** @param ssm the fields of `ssm_cfg` */
export function writeOfficialConfig(config: LanguageModelConfig, ssm: Fields): Fields {
  const { normEpsilon = 1e-5 } = config;
  if (normEpsilon !== 1e-5)
    throw new OutOfRangeError(
      `official layout: normEpsilon is ${normEpsilon}, expected 1e-5, the only one that it has`,
    );
  return {
    d_model: config.dModel,
    d_intermediate: 0,
    n_layer: config.nLayer,
    vocab_size: config.vocabSize,
    ssm_cfg: ssm,
    ...writeAttention(config),
    rms_norm: (config.norm ?? 'rms') === 'rms',
    residual_in_fp32: true,
    fused_add_norm: true,
    pad_vocab_size_multiple: config.padVocabSizeMultiple ?? 8,
    tie_embeddings: config.tieEmbeddings ?? true,
  };
}
