import { Embedding, LayerNorm, Module, RMSNorm } from '@mamba-ts/nn';
import { type LayerState, nestedState, nestState, type SequenceOptions } from '@mamba-ts/ssm';
import { OutOfRangeError, type RandomGenerator, type Tensor } from '@mamba-ts/tensor';
import type { Layer } from './blocks/block';
import { type BlockChoice, type LayerChoice, makeBlock, makeLayer } from './kinds';

export interface BackboneConfig {
  readonly dModel: number;
  readonly nLayer: number;
  readonly block: BlockChoice;
  /** What runs inside each block. */
  readonly layer: LayerChoice;
  /** Other blocks at some places, by index from 0: the attention of a hybrid. */
  readonly blockAt?: Readonly<Record<number, BlockChoice>>;
  /** Default `rms`. */
  readonly norm?: 'rms' | 'layer';
  /** Default 1e-5. */
  readonly normEpsilon?: number;
}

function makeNorm(
  { dModel, norm = 'rms', normEpsilon = 1e-5 }: BackboneConfig,
  random: RandomGenerator,
): RMSNorm | LayerNorm {
  const options = { eps: normEpsilon, device: random.state.device };
  return norm === 'rms' ? new RMSNorm(dModel, options) : new LayerNorm(dModel, options);
}

/** Pre-norm residual: x + mixer(norm(x)). */
export class ResidualLayer extends Module {
  readonly norm: RMSNorm | LayerNorm;
  readonly mixer: Layer;

  constructor(config: BackboneConfig, index: number, random: RandomGenerator) {
    super();
    const { dModel, nLayer, block, layer, blockAt = {} } = config;
    this.norm = makeNorm(config, random);
    this.mixer = makeBlock(blockAt[index] ?? block, {
      dModel,
      nLayer,
      random,
      layer: (width, options) => makeLayer(layer, { ...options, width, blockWidth: dModel, random }),
    });
  }

  forward(x: Tensor, options: Pick<SequenceOptions, 'resets'>): Tensor {
    return x.add(this.mixer.forward(this.norm.forward(x), options));
  }

  prefill(x: Tensor, state: LayerState | undefined, options: Pick<SequenceOptions, 'resets'>): [Tensor, LayerState] {
    const [y, next] = this.mixer.prefill(this.norm.forward(x), state, options);
    return [x.add(y), next];
  }

  step(x: Tensor, state: LayerState): [Tensor, LayerState] {
    const [y, next] = this.mixer.step(this.norm.forward(x), state);
    return [x.add(y), next];
  }
}

/**
 * Embedding, residual layers, final norm: ids to features. States of the layers are under `layers.0.`, `layers.1.`, …
 */
export class Backbone extends Module {
  /** (rows, dModel) */
  readonly embedding: Embedding;
  readonly layers: readonly ResidualLayer[];
  readonly norm_f: RMSNorm | LayerNorm;

  constructor(rows: number, config: BackboneConfig, random: RandomGenerator) {
    super();
    for (const index of Object.keys(config.blockAt ?? {})) {
      if (!(Number(index) < config.nLayer))
        throw new OutOfRangeError(
          `LanguageModel: blockAt has ${index}, expected indices below nLayer (${config.nLayer})`,
        );
    }
    this.embedding = new Embedding(rows, config.dModel, random);
    this.layers = Array.from({ length: config.nLayer }, (_, index) => new ResidualLayer(config, index, random));
    this.norm_f = makeNorm(config, random);
  }

  get constantState(): boolean {
    return this.layers.every((layer) => layer.mixer.constantState);
  }

  /** int32 (batch, length) → (batch, length, dModel) */
  forward(ids: Tensor, options: Pick<SequenceOptions, 'resets'> = {}): Tensor {
    let x = this.embedding.forward(ids);
    for (const layer of this.layers) x = layer.forward(x, options);
    return this.norm_f.forward(x);
  }

  prefill(ids: Tensor, state?: LayerState, options: Pick<SequenceOptions, 'resets'> = {}): [Tensor, LayerState] {
    return this.run(ids, (layer, x, i) => layer.prefill(x, state && nestedState(`layers.${i}`, state), options));
  }

  /** int32 (batch) → (batch, dModel) */
  step(ids: Tensor, state: LayerState): [Tensor, LayerState] {
    return this.run(ids, (layer, x, i) => layer.step(x, nestedState(`layers.${i}`, state)));
  }

  initialState(batch: number): LayerState {
    return Object.assign(
      {},
      ...this.layers.map((layer, i) => nestState(`layers.${i}`, layer.mixer.initialState(batch))),
    );
  }

  private run(
    ids: Tensor,
    apply: (layer: ResidualLayer, x: Tensor, index: number) => [Tensor, LayerState],
  ): [Tensor, LayerState] {
    let x = this.embedding.forward(ids);
    const state: Record<string, Tensor> = {};
    for (const [i, layer] of this.layers.entries()) {
      const [y, next] = apply(layer, x, i);
      x = y;
      Object.assign(state, nestState(`layers.${i}`, next));
    }
    return [this.norm_f.forward(x), state];
  }
}
