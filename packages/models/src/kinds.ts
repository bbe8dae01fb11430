import {
  checkKeys,
  H3SSM,
  type H3SSMConfig,
  Hyena,
  type HyenaConfig,
  HyenaConvolution,
  type HyenaConvolutionConfig,
  S4,
  type S4Config,
  S4D,
  type S4DConfig,
  S6,
  type S6Config,
  SSD,
  type SSDConfig,
} from '@mamba-ts/ssm';
import { OutOfRangeError, type RandomGenerator } from '@mamba-ts/tensor';
import { AttentionBlock, type AttentionBlockConfig } from './blocks/attention';
import type { InnerLayer, InnerLayerOptions, Layer } from './blocks/block';
import { H3Block, type H3BlockConfig } from './blocks/h3';
import { MambaBlock, type MambaBlockConfig } from './blocks/mamba';
import { Mamba2Block, type Mamba2BlockConfig } from './blocks/mamba2';
import { PlainBlock } from './blocks/plain';

/* The two lists that an ablation loops over. Configs are plain JSON; `kind` picks the row. */

/** Where a layer stands, and what its block offers. */
export interface LayerContext extends InnerLayerOptions {
  /** Width that the layer runs at. */
  readonly width: number;
  /** Width of the block around it, which the default rank of Δ follows. */
  readonly blockWidth: number;
  readonly random: RandomGenerator;
}

/** Where a block stands. */
export interface BlockContext {
  readonly dModel: number;
  /** Blocks of the model. */
  readonly nLayer: number;
  readonly layer: InnerLayer;
  readonly random: RandomGenerator;
}

/**
 * Settings by kind of layer. Yours: `declare module '@mamba-ts/models' { interface LayerConfigs { mine: MyConfig } }`.
 */
export interface LayerConfigs {
  readonly s6: Omit<S6Config, 'dModel'>;
  readonly s4d: Omit<S4DConfig, 'dModel'>;
  readonly s4: Omit<S4Config, 'dModel'>;
  /** The diagonal SSM of H3: with block `h3`, H3 itself. */
  readonly h3: Omit<H3SSMConfig, 'dModel'>;
  /** The long convolution of Hyena: with block `h3`, what the Mamba paper calls Hyena. */
  readonly hyena: Omit<HyenaConvolutionConfig, 'dModel'>;
  readonly ssd: Omit<SSDConfig, 'dModel' | 'projection'>;
}

/** Settings by kind of block. */
export interface BlockConfigs {
  readonly plain: Readonly<Record<never, never>>;
  readonly mamba: Pick<MambaBlockConfig, 'expand' | 'dConv' | 'convBias' | 'bias'>;
  readonly h3: Pick<H3BlockConfig, 'headDim' | 'dState' | 'outputOrder'>;
  readonly mamba2: Omit<Mamba2BlockConfig, 'dModel' | 'layer' | 'nLayer'>;
  /** The Hyena operator; has no inner layer. */
  readonly hyena: Omit<HyenaConfig, 'dModel'>;
  /** Has no inner layer. */
  readonly attention: Omit<AttentionBlockConfig, 'dModel' | 'nLayer'>;
}

type Choice<Configs> = keyof Configs | { [K in keyof Configs]: { readonly kind: K } & Configs[K] }[keyof Configs];
/** `'s6'`, or `{ kind: 's6', dState: 8 }`. */
export type LayerChoice = Choice<LayerConfigs>;
/** `'mamba'`, or `{ kind: 'mamba', expand: 1 }`. */
export type BlockChoice = Choice<BlockConfigs>;

type LayerTable = { -readonly [K in keyof LayerConfigs]: (config: LayerConfigs[K], context: LayerContext) => Layer };
type BlockTable = { -readonly [K in keyof BlockConfigs]: (config: BlockConfigs[K], context: BlockContext) => Layer };

const ownLayers: Pick<LayerTable, 's6' | 's4d' | 's4' | 'h3' | 'hyena' | 'ssd'> = {
  s6: (config, { width, blockWidth, random }) => {
    const { dtRank = 'auto' } = config;
    return new S6(
      { ...config, dModel: width, dtRank: dtRank === 'auto' ? Math.ceil(blockWidth / 16) : dtRank },
      random,
    );
  },
  s4d: (config, { width, random }) => new S4D({ ...config, dModel: width }, random),
  s4: (config, { width, random }) => new S4({ ...config, dModel: width }, random),
  h3: (config, { width, random }) => new H3SSM({ ...config, dModel: width }, random),
  hyena: (config, { width, random }) => new HyenaConvolution({ ...config, dModel: width }, random),
  ssd: (config, { width, projection, random }) => new SSD({ ...config, dModel: width, projection }, random),
};

const attentionSettings: Readonly<Record<keyof BlockConfigs['attention'], true>> = {
  numHeads: true,
  numHeadsKv: true,
  headDim: true,
  dConv: true,
  mlpDim: true,
  qkvBias: true,
  outBias: true,
  rotaryDim: true,
  rotaryBase: true,
  rotaryInterleaved: true,
};

const mamba2Settings: Readonly<Record<keyof BlockConfigs['mamba2'], true>> = {
  expand: true,
  dConv: true,
  convBias: true,
  convInit: true,
  bias: true,
  norm: true,
  normBeforeGate: true,
  normGroups: true,
  normEpsilon: true,
};

const ownBlocks: Pick<BlockTable, 'plain' | 'h3' | 'mamba' | 'mamba2' | 'hyena' | 'attention'> = {
  plain: (config, { random, ...context }) => {
    checkKeys('plain block', config, {});
    return new PlainBlock(context, random);
  },
  mamba: (config, { random, ...context }) => {
    checkKeys('mamba block', config, { expand: true, dConv: true, convBias: true, bias: true });
    return new MambaBlock({ ...config, ...context }, random);
  },
  mamba2: (config, { random, ...context }) => {
    checkKeys('mamba2 block', config, mamba2Settings);
    return new Mamba2Block({ ...config, ...context }, random);
  },
  h3: (config, { random, dModel, layer }) => {
    checkKeys('h3 block', config, { headDim: true, dState: true, outputOrder: true });
    return new H3Block({ ...config, dModel, layer }, random);
  },
  hyena: (config, { dModel, random }) => new Hyena({ ...config, dModel }, random),
  attention: (config, { dModel, nLayer, random }) => {
    checkKeys('attention block', config, attentionSettings);
    return new AttentionBlock({ ...config, dModel, nLayer }, random);
  },
};

/**
 * Inner layers by kind. One more is one more entry, by whoever adds `mine` to `LayerConfigs`:
 *
 *     layers.mine = (config, { width, random }) => new Mine({ ...config, dModel: width }, random);
 */
export const layers: LayerTable = ownLayers as LayerTable;

/** Blocks by kind; as with layers, one more is one more entry. */
export const blocks: BlockTable = ownBlocks as BlockTable;

/** The inner layer that `choice` names. @throws OutOfRangeError for a kind that is not in `layers` */
export function makeLayer(choice: LayerChoice, context: LayerContext): Layer {
  return make('layer', layers, choice, context);
}

/** The block that `choice` names. @throws OutOfRangeError for a kind that is not in `blocks` */
export function makeBlock(choice: BlockChoice, context: BlockContext): Layer {
  return make('block', blocks, choice, context);
}

function make<Context>(
  what: string,
  table: object,
  choice: string | { readonly kind: string },
  context: Context,
): Layer {
  const { kind, ...config } = typeof choice === 'string' ? { kind: choice } : choice;
  if (!Object.hasOwn(table, kind))
    throw new OutOfRangeError(
      `${what}: kind is ${JSON.stringify(kind)}, expected one of ${Object.keys(table).join(', ')}`,
    );
  // The table's type pairs every kind with its config; what comes from JSON is checked by the factory.
  const factory = (table as Record<string, (config: object, context: Context) => Layer>)[kind];
  return factory(config, context);
}
