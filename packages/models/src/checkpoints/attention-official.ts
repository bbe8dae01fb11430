import { OutOfRangeError } from '@mamba-ts/tensor';
import type { BlockChoice } from '../kinds';
import type { LanguageModelConfig } from '../language-model';
import { kindOf, saidBy } from './choice-settings';
import { FieldReader, type Fields } from './field-reader';

/** Fields of `attn_cfg`, the arguments of the official `MHA`. */
const names = {
  numHeads: 'num_heads',
  numHeadsKv: 'num_heads_kv',
  headDim: 'head_dim',
  dConv: 'd_conv',
  mlpDim: 'mlp_dim',
  qkvBias: 'qkv_proj_bias',
  outBias: 'out_proj_bias',
  rotaryDim: 'rotary_emb_dim',
  rotaryBase: 'rotary_emb_base',
  rotaryInterleaved: 'rotary_emb_interleaved',
} as const;

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
    numHeads: attention.number(names.numHeads),
    numHeadsKv: attention.optionalNumber(names.numHeadsKv) ?? undefined,
    headDim: attention.optionalNumber(names.headDim) ?? undefined,
    dConv: attention.number(names.dConv, 0),
    mlpDim: attention.number(names.mlpDim, 0),
    qkvBias: attention.boolean(names.qkvBias, true),
    outBias: attention.boolean(names.outBias, true),
    rotaryDim: attention.number(names.rotaryDim, 0),
    rotaryBase: attention.number(names.rotaryBase, 10_000),
    rotaryInterleaved: attention.boolean(names.rotaryInterleaved, false),
  };
  attention.finish();
  return Object.fromEntries(places.map((place) => [place, block]));
}

/** The reverse. @throws OutOfRangeError for blocks that are no attention, or differ: the file describes one */
export function writeAttention(config: LanguageModelConfig): Fields {
  const blocks = Object.entries(config.blockAt ?? {});
  if (blocks.length === 0) return { attn_layer_idx: [], attn_cfg: {} };
  const [, first] = blocks[0];
  for (const [place, block] of blocks) {
    if (kindOf(block) !== 'attention' || JSON.stringify(saidBy(block)) !== JSON.stringify(saidBy(first)))
      throw new OutOfRangeError(
        `official layout: blockAt[${place}] is ${JSON.stringify(block)}, expected the same attention at every place`,
      );
  }
  const said = Object.entries(saidBy(first)).map(([name, value]) => [names[name as keyof typeof names], value]);
  return {
    attn_layer_idx: blocks.map(([place]) => Number(place)),
    attn_cfg: { causal: true, ...Object.fromEntries(said) },
  };
}
