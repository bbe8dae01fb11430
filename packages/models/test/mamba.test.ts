import { OutOfRangeError } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import {
  fromHuggingFaceMambaConfig,
  fromMambaConfig,
  type LanguageModelConfig,
  mambaKeyFromHuggingFace,
  mambaModels,
  parameterCount,
} from '../src/index';
import { golden, missing } from './golden';

/** The 350M model of the ablations (Mamba, §E.2.2 and tables 6 to 10). */
const ablation = (layer: object): LanguageModelConfig => ({
  vocabSize: 50257,
  dModel: 1024,
  nLayer: 48,
  block: 'mamba',
  layer: { kind: 's6', ...layer },
});

describe('parameter counts', () => {
  it.each([
    ['mamba-130m', 129_135_360],
    ['mamba-370m', 371_516_416],
    ['mamba-790m', 793_204_224],
    ['mamba-1.4b', 1_372_178_432],
    ['mamba-2.8b', 2_768_345_600],
    ['mamba-2.8b-slimpj', 2_768_345_600],
  ])('%s has %i', (name, count) => {
    expect(parameterCount(fromMambaConfig(mambaModels[name]))).toBe(count);
  });

  it('every released model is in the list of these tests', () => {
    expect(Object.keys(mambaModels).length).toBe(6);
  });

  // Millions as printed.
  const table9 = { 0: 358.9, 1: 359.1, 2: 359.3, 4: 359.7, 8: 360.5, 16: 362.1, 32: 365.2, 64: 371.5 };
  it.each(Object.entries(table9))('table 9, rank of Δ %s: %fM', (rank, millions) => {
    expect(parameterCount(ablation({ dtRank: Number(rank) })) / 1e6).toBeCloseTo(millions, 1);
  });

  const table10 = { 1: 367.1, 2: 367.4, 4: 368.0, 8: 369.1, 16: 371.5 };
  it.each(Object.entries(table10))(
    'table 10, N = %s: %fM, with selective and with constant B and C',
    (dState, millions) => {
      const selective = parameterCount(ablation({ dState: Number(dState) }));
      expect(selective / 1e6).toBeCloseTo(millions, 1);
      expect(parameterCount(ablation({ dState: Number(dState), selective: { B: false, C: false } }))).toBe(selective);
    },
  );

  it('table 8: every kind of A has the same parameters', () => {
    for (const aInit of ['s4d-lin', 'minus-half', 's4d-real', 'random'])
      expect(parameterCount(ablation({ aInit }))).toBe(parameterCount(ablation({})));
  });

  it.skipIf(missing('param_counts'))(
    'param_counts: tables 9 and 10, and the induction heads model, to the unit',
    () => {
      const { outputs } = golden<
        unknown,
        { table9_by_R: Record<string, number>; table10_by_N: Record<string, number> } & Record<string, number>
      >('param_counts');
      for (const [rank, count] of Object.entries(outputs.table9_by_R))
        expect(parameterCount(ablation({ dtRank: Number(rank) })), `rank ${rank}`).toBe(count);
      for (const [dState, count] of Object.entries(outputs.table10_by_N))
        expect(parameterCount(ablation({ dState: Number(dState) })), `N ${dState}`).toBe(count);
      const induction: LanguageModelConfig = { vocabSize: 16, dModel: 64, nLayer: 2, block: 'mamba', layer: 's6' };
      expect(parameterCount(induction)).toBe(outputs.induction_2x64_V16_tied_R4);
      expect(parameterCount({ ...induction, tieEmbeddings: false, layer: { kind: 's6', dtRank: 16 } })).toBe(
        outputs.induction_2x64_V16_untied_R16,
      );
      expect(parameterCount(fromMambaConfig(mambaModels['mamba-130m']))).toBe(outputs.mamba_130m_released);
    },
  );
});

describe('fromMambaConfig', () => {
  it('reads the fields of a released config.json', () => {
    const json = {
      d_model: 768,
      n_layer: 24,
      vocab_size: 50277,
      ssm_cfg: {},
      rms_norm: true,
      residual_in_fp32: true,
      fused_add_norm: true,
      pad_vocab_size_multiple: 8,
    };
    expect(fromMambaConfig(json)).toEqual(fromMambaConfig(mambaModels['mamba-130m']));
    const changed = fromMambaConfig({
      ...json,
      rms_norm: false,
      tie_embeddings: false,
      ssm_cfg: { layer: 'Mamba1', d_state: 8, dt_rank: 3, expand: 1, d_conv: 2, bias: true },
    });
    expect(changed).toMatchObject({
      norm: 'layer',
      tieEmbeddings: false,
      block: { expand: 1, dConv: 2, bias: true },
      layer: { dState: 8, dtRank: 3 },
    });
  });

  it.each([
    [{ ssm_cfg: { layer: 'Mamba2' } }, /ssm_cfg: layer is "Mamba2", expected "Mamba1"/],
    [{ d_model: 'wide' }, /d_model is "wide", expected a number/],
    [{ attn_layer_idx: [3] }, /attn_cfg: num_heads is undefined, expected a number/],
    [{ d_intermediate: 1500 }, /d_intermediate is 1500/],
    [{ n_layers: 3 }, /n_layers is no field/],
    [{ ssm_cfg: { dstate: 3 } }, /dstate is no field/],
    [{ vocab_size: undefined }, /vocab_size is undefined/],
    [{ ssm_cfg: [] }, /ssm_cfg is \[\], expected an object/],
    [{ ssm_cfg: { dt_init: 'zero' } }, /dt_init is "zero", expected one of random, constant/],
    [{ tie_embeddings: 1 }, /tie_embeddings is 1/],
  ])('refuses %o', (change, message) => {
    const json = { d_model: 768, n_layer: 24, vocab_size: 50277, ...change };
    expect(() => fromMambaConfig(json)).toThrow(message);
    expect(() => fromMambaConfig(json)).toThrow(OutOfRangeError);
  });

  it.each([[null], [[]], ['mamba'], [undefined]])('refuses %o', (json) => {
    expect(() => fromMambaConfig(json)).toThrow(/expected an object/);
    expect(() => fromHuggingFaceMambaConfig(json)).toThrow(/expected an object/);
  });
});

describe('fromHuggingFaceMambaConfig', () => {
  it('reads the other names of the same model', () => {
    const json = {
      model_type: 'mamba',
      hidden_size: 768,
      num_hidden_layers: 24,
      vocab_size: 50280,
      intermediate_size: 1536,
      state_size: 16,
      conv_kernel: 4,
      time_step_rank: 48,
      use_bias: false,
      use_conv_bias: true,
      tie_word_embeddings: true,
      layer_norm_epsilon: 1e-5,
      bos_token_id: 0,
    };
    expect(parameterCount(fromHuggingFaceMambaConfig(json))).toBe(129_135_360);
    expect(mambaKeyFromHuggingFace('backbone.embeddings.weight')).toBe('backbone.embedding.weight');
    expect(mambaKeyFromHuggingFace('backbone.norm_f.weight')).toBe('backbone.norm_f.weight');
  });
  it('refuses other models', () => {
    expect(() => fromHuggingFaceMambaConfig({ model_type: 'mamba2', hidden_size: 8 })).toThrow(
      /model_type is "mamba2", expected "mamba"/,
    );
  });
});
