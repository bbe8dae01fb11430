import { FieldReader } from './field-reader';
import type { BlockChoice } from './kinds';

/**
 * The attention layers of a hybrid, from `attn_layer_idx` and `attn_cfg` of an official config; undefined if it has
 * none.
 */
export function readAttention(config: FieldReader): Readonly<Record<number, BlockChoice>> | undefined {
  const places = config.indices('attn_layer_idx');
  const fields = config.object('attn_cfg');
  if (places.length === 0) return undefined;
  const attention = new FieldReader('MambaConfig: attn_cfg', fields);
  attention.expect('causal', true);
  attention.expect('softmax_scale', null);
  const block: BlockChoice = {
    kind: 'attention',
    numHeads: attention.number('num_heads'),
    numHeadsKv: attention.optionalNumber('num_heads_kv') ?? undefined,
    headDim: attention.optionalNumber('head_dim') ?? undefined,
    dConv: attention.number('d_conv', 0),
    mlpDim: attention.number('mlp_dim', 0),
    qkvBias: attention.boolean('qkv_proj_bias', true),
    outBias: attention.boolean('out_proj_bias', true),
    rotaryDim: attention.number('rotary_emb_dim', 0),
    rotaryBase: attention.number('rotary_emb_base', 10_000),
    rotaryInterleaved: attention.boolean('rotary_emb_interleaved', false),
  };
  attention.finish();
  return Object.fromEntries(places.map((place) => [place, block]));
}
