import { Conv1d, initializers, Linear, Module } from '@mamba-ts/nn';
import {
  checkSize,
  type LayerState,
  nestedState,
  nestState,
  type SequenceLayer,
  type SequenceOptions,
  type StepOptions,
} from '@mamba-ts/ssm';
import { formatShape, OutOfRangeError, type RandomGenerator, ShapeError, silu, type Tensor } from '@mamba-ts/tensor';
import type { InnerLayer, Layer } from './block';

export interface MambaBlockConfig {
  readonly dModel: number;
  /** Makes the layer in the middle, S6 in Mamba, at width dInner = expand · dModel. */
  readonly layer: InnerLayer;
  /** Default 2. */
  readonly expand?: number;
  /** Width of the short convolution. Default 4. */
  readonly dConv?: number;
  /** Default true. */
  readonly convBias?: boolean;
  /** Biases of the two projections. Default false. */
  readonly bias?: boolean;
  /** Blocks of the model: the output projection starts 1/√nLayer as large. Default 1. */
  readonly nLayer?: number;
}

/**
 * The Mamba block (arXiv 2312.00752, §3.4, figure 3): out_proj(layer(silu(conv(x))) · silu(z)) with [x; z] =
 * in_proj(input).
 *
 * Parameters are named as in the released checkpoints: those of the inner layer stand beside the block's own. State:
 * `conv`, the last dConv − 1 inputs of the convolution (batch, dConv − 1, dInner), and the inner layer's under
 * `inner.`.
 */
export class MambaBlock extends Module implements SequenceLayer {
  readonly dModel: number;
  readonly dInner: number;
  /** (2 dInner, dModel), rows [x; z] */
  readonly in_proj: Linear;
  readonly conv1d: Conv1d;
  readonly layer: Layer;
  readonly out_proj: Linear;
  protected override readonly inlined: readonly string[] = ['layer'];

  constructor(config: MambaBlockConfig, random: RandomGenerator) {
    super();
    const { dModel, expand = 2, dConv = 4, convBias = true, bias = false, nLayer = 1 } = config;
    checkSize('MambaBlock', 'dModel', dModel);
    checkSize('MambaBlock', 'dConv', dConv);
    checkSize('MambaBlock', 'nLayer', nLayer);
    const dInner = expand * dModel;
    if (!Number.isInteger(dInner) || dInner < 1)
      throw new OutOfRangeError(
        `MambaBlock: expand is ${expand}, expected expand · dModel (${dModel}) to be an integer >= 1`,
      );
    this.dModel = dModel;
    this.dInner = dInner;
    const biasInit = initializers.constant(0);
    this.in_proj = new Linear(dModel, 2 * dInner, random, { bias, biasInit });
    this.conv1d = new Conv1d(dInner, dConv, random, { bias: convBias });
    this.layer = config.layer(dInner);
    const weightInit = initializers.scaled(initializers.uniformFanIn(), 1 / Math.sqrt(nLayer));
    this.out_proj = new Linear(dInner, dModel, random, { bias, biasInit, weightInit });
  }

  get constantState(): boolean {
    return this.layer.constantState;
  }

  forward(u: Tensor, { resets, gate }: SequenceOptions = {}): Tensor {
    const [x, z] = this.project(u, 3);
    const y = this.layer.forward(this.conv1d.forward(x, { resets, silu: true }), { gate: z, resets });
    return this.output(y, gate);
  }

  prefill(u: Tensor, state?: LayerState, { resets, gate }: SequenceOptions = {}): [Tensor, LayerState] {
    const [x, z] = this.project(u, 3);
    const [active, conv] = this.conv1d.prefill(x, { initial: state && this.window(state), resets, silu: true });
    const inner = state && nestedState('inner', state);
    const [y, next] = this.layer.prefill(active, inner, { gate: z, resets });
    return [this.output(y, gate), { conv, ...nestState('inner', next) }];
  }

  step(u: Tensor, state: LayerState, { gate }: StepOptions = {}): [Tensor, LayerState] {
    const [x, z] = this.project(u, 2);
    const [convolved, conv] = this.conv1d.step(x, this.window(state));
    const [y, next] = this.layer.step(silu(convolved), nestedState('inner', state), { gate: z });
    return [this.output(y, gate), { conv, ...nestState('inner', next) }];
  }

  initialState(batch: number): LayerState {
    return { conv: this.conv1d.initialWindow(batch), ...nestState('inner', this.layer.initialState(batch)) };
  }

  private project(u: Tensor, rank: number): [Tensor, Tensor] {
    if (u.shape.length !== rank || u.shape[rank - 1] !== this.dModel) {
      const lead = rank === 3 ? 'batch, length' : 'batch';
      throw new ShapeError(
        `MambaBlock: x has shape ${formatShape(u.shape)}, expected (${lead}, dModel ${this.dModel})`,
      );
    }
    if (rank === 2) {
      const xz = this.in_proj.forward(u);
      return [xz.slice(-1, 0, this.dInner), xz.slice(-1, this.dInner)];
    }
    // Of sequences each half is a product of its own: x and z lie by themselves for what comes next, and backward joins no gradients of their size.
    return [this.in_proj.forward(u, [0, this.dInner]), this.in_proj.forward(u, [this.dInner, 2 * this.dInner])];
  }

  private window(state: LayerState): Tensor {
    if (!state.conv)
      throw new ShapeError(
        `MambaBlock: state has no conv, expected conv of shape (batch, ${this.conv1d.width - 1}, ${this.dInner})`,
      );
    return state.conv;
  }

  private output(y: Tensor, gate?: Tensor): Tensor {
    const mixed = this.out_proj.forward(y);
    return gate ? mixed.mul(silu(gate)) : mixed;
  }
}
