import { SSD } from '@mamba-ts/ssm';
import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import { argmax, OutOfRangeError, RandomGenerator, reference, scope, tensor } from '@mamba-ts/tensor';
import { describe, expect, it } from 'vitest';
import {
  fromHuggingFaceMamba2Config,
  fromMamba2Config,
  generate,
  type InnerLayer,
  LanguageModel,
  makeLayer,
  Mamba2Block,
  mamba2Models,
  parameterCount,
} from '../src/index';
import { floatDevices } from './devices';
import { disposeEmpty } from './harness';

const ssd =
  (random: RandomGenerator): InnerLayer =>
  (width, { projection } = {}) =>
    new SSD({ dModel: width, headDim: 2, dState: 3, nGroups: 2, chunkSize: 4, projection }, random);
const s6 =
  (random: RandomGenerator): InnerLayer =>
  (width, options) =>
    makeLayer({ kind: 's6', dState: 3 }, { ...options, width, blockWidth: 4, random });

const variants = {
  'with SSD': { layer: ssd },
  'with SSD, norm in groups and before the gate': { layer: ssd, normBeforeGate: true, normGroups: 2, bias: true },
  'with SSD, no norm, no convolution to speak of': { layer: ssd, norm: false, dConv: 1, convBias: false },
  'with S6': { layer: s6, dConv: 3, convInit: 0.3 },
} as const;
for (const [name, { layer, ...config }] of Object.entries(variants)) {
  testSequenceLayer(
    { describe, it },
    `Mamba-2 block ${name}`,
    (random) => new Mamba2Block({ dModel: 4, nLayer: 2, layer: layer(random), ...config }, random),
    { devices: floatDevices },
  );
}

describe('Mamba-2 models', () => {
  it.each([
    ['mamba2-130m', 128_989_632],
    ['mamba2-370m', 368_346_624],
    ['mamba2-780m', 780_161_280],
    ['mamba2-1.3b', 1_343_757_312],
    ['mamba2-2.7b', 2_702_599_680],
    ['mamba2attn-2.7b', 2_697_590_880],
  ])('%s has %i parameters', (name, count) => {
    expect(parameterCount(fromMamba2Config(mamba2Models[name]))).toBe(count);
  });

  it('every released model is in the list of these tests', () => {
    expect(Object.keys(mamba2Models).length).toBe(6);
  });
});

describe('configs', () => {
  const official = { d_model: 8, n_layer: 1, vocab_size: 5, ssm_cfg: { layer: 'Mamba2', headdim: 4 } };
  const library = { model_type: 'mamba2', hidden_act: 'silu', hidden_size: 8, num_heads: 4, head_dim: 4 };
  const sizes = { vocab_size: 5, num_hidden_layers: 1, n_groups: 1, state_size: 3 };

  it.each([
    [{ ...official, ssm_cfg: { layer: 'Mamba1' } }, /layer is "Mamba1", expected "Mamba2"/],
    [{ ...official, attn_layer_idx: [-1] }, /attn_layer_idx is \[-1\], expected a list of integers >= 0/],
    [{ ...official, attn_layer_idx: [0] }, /attn_cfg: num_heads is undefined, expected a number/],
    [{ ...official, attn_layer_idx: [0], attn_cfg: { num_heads: 2, causal: false } }, /causal is false, expected true/],
    [{ ...official, d_intermediate: 7 }, /d_intermediate is 7/],
    [{ ...official, ssm_cfg: { layer: 'Mamba2', d_states: 3 } }, /d_states is no field/],
    [{ ...official, ssm_cfg: { layer: 'Mamba2', A_init_range: [1] } }, /A_init_range is \[1\], expected two numbers/],
    [{ ...official, ssm_cfg: { layer: 'Mamba2', d_ssm: 4 } }, /d_ssm is 4, expected null/],
    [null, /config is null/],
  ])('refuses %j', (json, message) => {
    expect(() => fromMamba2Config(json)).toThrow(message);
    expect(() => fromMamba2Config(json)).toThrow(OutOfRangeError);
  });

  it.each([
    [{ ...library, ...sizes, num_heads: 3 }, /num_heads · head_dim is 12, expected expand · hidden_size = 16/],
    [{ ...library, ...sizes, hidden_act: 'gelu' }, /hidden_act is "gelu"/],
    [{ ...library, ...sizes, time_step_limit: ['a', 1] }, /time_step_limit/],
    [{ ...library, ...sizes, model_type: 'mamba' }, /model_type is "mamba"/],
  ])('of the Hugging Face layout refuses %j', (json, message) => {
    expect(() => fromHuggingFaceMamba2Config(json)).toThrow(message);
  });

  it('attention stands where the config says, and nowhere beyond the last layer', async () => {
    const device = await reference();
    const random = new RandomGenerator(1, device);
    const hybrid = { ...official, n_layer: 2, attn_layer_idx: [1], attn_cfg: { num_heads: 2 } };
    const model = new LanguageModel(fromMamba2Config(hybrid), random);
    expect(model.backbone.layers.map((l) => l.mixer.constructor.name)).toEqual(['Mamba2Block', 'AttentionBlock']);
    expect(model.constantState).toBe(false);
    const tokens: number[] = [];
    for await (const { token } of generate(model, [1, 2, 3], { maxNewTokens: 4 })) tokens.push(token);
    const logits = scope(() => {
      const ids = tensor(Int32Array.of(1, 2, 3, ...tokens.slice(0, 3)), { shape: [1, 6], device });
      return argmax(model.forward(ids).slice(2, 0, 5).slice(1, 2)).realize();
    });
    expect(Array.from(await logits.data())).toEqual(tokens);
    logits.dispose();
    expect(() => new LanguageModel(fromMamba2Config({ ...hybrid, attn_layer_idx: [2] }), random)).toThrow(
      /blockAt has 2, expected indices below nLayer \(2\)/,
    );
    model.dispose();
    random.dispose();
    disposeEmpty(device);
  });

  it('the two layouts describe the same model', () => {
    const ssmConfig = { ...official.ssm_cfg, d_state: 3 };
    const ours = fromMamba2Config({
      ...official,
      ssm_cfg: ssmConfig,
      pad_vocab_size_multiple: 1,
      tie_embeddings: false,
    });
    const limit = [0, { __float__: 'Infinity' }];
    const theirs = fromHuggingFaceMamba2Config({ ...library, ...sizes, time_step_limit: limit });
    expect(parameterCount(ours)).toBe(parameterCount(theirs));
    expect(theirs.layer).toMatchObject({ kind: 'ssd', dState: 3, headDim: 4, dtLimit: [0, Infinity] });
  });
});
