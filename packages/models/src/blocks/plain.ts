import { Linear, Module } from '@mamba-ts/nn';
import { checkSize, type LayerState, type SequenceLayer, type SequenceOptions, type StepOptions } from '@mamba-ts/ssm';
import { gelu, type RandomGenerator, silu, type Tensor } from '@mamba-ts/tensor';
import type { InnerLayer, Layer } from './block';

export interface PlainBlockConfig {
  readonly dModel: number;
  readonly layer: InnerLayer;
}

/**
 * The S4 block (arXiv 2111.00396, §4; "no gate" in table 1 of Mamba): inner layer → GELU → linear to twice the width →
 * GLU.
 *
 * Parameters are named as in the s4 repository.
 */
export class PlainBlock extends Module implements SequenceLayer {
  readonly dModel: number;
  readonly layer: Layer;
  /** One linear layer, dModel → 2 dModel; a list because the checkpoint's is. */
  readonly output_linear: readonly [Linear];

  constructor(config: PlainBlockConfig, random: RandomGenerator) {
    super();
    checkSize('PlainBlock', 'dModel', config.dModel);
    this.dModel = config.dModel;
    this.layer = config.layer(config.dModel);
    this.output_linear = [new Linear(config.dModel, 2 * config.dModel, random)];
  }

  get constantState(): boolean {
    return this.layer.constantState;
  }

  forward(x: Tensor, { resets, gate }: SequenceOptions = {}): Tensor {
    return this.output(this.layer.forward(x, { resets }), gate);
  }

  prefill(x: Tensor, state?: LayerState, { resets, gate }: SequenceOptions = {}): [Tensor, LayerState] {
    const [y, next] = this.layer.prefill(x, state, { resets });
    return [this.output(y, gate), next];
  }

  step(x: Tensor, state: LayerState, { gate }: StepOptions = {}): [Tensor, LayerState] {
    const [y, next] = this.layer.step(x, state);
    return [this.output(y, gate), next];
  }

  initialState(batch: number): LayerState {
    return this.layer.initialState(batch);
  }

  /** Pointwise in time, so that it is the same for sequences and single samples. */
  private output(y: Tensor, gate?: Tensor): Tensor {
    const doubled = this.output_linear[0].forward(gelu(y));
    const mixed = doubled.slice(-1, 0, this.dModel).mul(doubled.slice(-1, this.dModel).sigmoid());
    return gate ? mixed.mul(silu(gate)) : mixed;
  }
}
