import type { MambaConfig } from './official';

/** The released Mamba-1 models, by name on the Hugging Face hub (state-spaces/…). */
export const mambaModels: Readonly<Record<string, MambaConfig>> = {
  'mamba-130m': { d_model: 768, n_layer: 24, vocab_size: 50277 },
  'mamba-370m': { d_model: 1024, n_layer: 48, vocab_size: 50277 },
  'mamba-790m': { d_model: 1536, n_layer: 48, vocab_size: 50277 },
  'mamba-1.4b': { d_model: 2048, n_layer: 48, vocab_size: 50277 },
  'mamba-2.8b': { d_model: 2560, n_layer: 64, vocab_size: 50277 },
  'mamba-2.8b-slimpj': { d_model: 2560, n_layer: 64, vocab_size: 50277 },
};

/** The released Mamba-2 models, by name on the Hugging Face hub (state-spaces/…). */
export const mamba2Models: Readonly<Record<string, MambaConfig>> = {
  'mamba2-130m': releasedMamba2(768, 24),
  'mamba2-370m': releasedMamba2(1024, 48),
  'mamba2-780m': releasedMamba2(1536, 48),
  'mamba2-1.3b': releasedMamba2(2048, 48),
  'mamba2-2.7b': releasedMamba2(2560, 64),
  'mamba2attn-2.7b': {
    ...releasedMamba2(2560, 64),
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

function releasedMamba2(d_model: number, n_layer: number): MambaConfig {
  return { d_model, n_layer, vocab_size: 50277, pad_vocab_size_multiple: 16, ssm_cfg: { layer: 'Mamba2' } };
}
