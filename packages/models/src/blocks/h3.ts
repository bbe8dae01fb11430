import { initializers, Linear, Module, parameter } from '@mamba-ts/nn';
import {
  checkChoice,
  checkSize,
  type LayerState,
  nestedState,
  nestState,
  type SequenceLayer,
  type SequenceOptions,
  ShiftSSM,
  type StepOptions,
} from '@mamba-ts/ssm';
import {
  formatShape,
  OutOfRangeError,
  type RandomGenerator,
  ShapeError,
  silu,
  type Tensor,
  type Variable,
} from '@mamba-ts/tensor';
import type { InnerLayer, Layer } from './block';

export interface H3BlockConfig {
  readonly dModel: number;
  /** Makes the layer over keys times values, at width dModel / headDim. */
  readonly layer: InnerLayer;
  /** Channels of a head: keys and values meet in headDim² products, which share the head's SSM. Default 1. */
  readonly headDim?: number;
  /** How many samples the shift SSM sees. Default 64. */
  readonly dState?: number;
  /**
   * How the heads' results lie before the output projection: `head` [head; channel], as everywhere else and as the fused kernel
   * of the H3 repository has them; `channel` [channel; head], as its path by Fourier transforms and its steps have them. The same
   * for headDim 1. Default `head`.
   */
  readonly outputOrder?: 'head' | 'channel';
}

/**
 * The H3 block (arXiv 2212.14052, §3, algorithm 1): out = output_linear(q · layer(shift(k) vᵀ)) of three projections q, k, v of
 * the input, per head. With Hyena's convolution as the layer it is what the Mamba paper calls Hyena.
 *
 * Parameters are named as in the H3 repository, where the layer is `H3SSM`: those of the inner layer stand beside the block's own.
 * Channels are [head; channel of the head]. State: `shift.window`, and the inner layer's under `inner.`: with headDim >
 * 1 each has, after the batch, an axis of the headDim² products, by key and value. Where Δ, B, C of an S6 inside come from is not
 * published: here from its own input, the products.
 */
export class H3Block extends Module implements SequenceLayer {
  readonly dModel: number;
  /** (dModel, dModel) */
  readonly q_proj: Linear;
  readonly k_proj: Linear;
  readonly v_proj: Linear;
  readonly ssm_k_kernel: ShiftSSM;
  /** Skip of the shift SSM: (dModel) */
  readonly ssm_k_D: Variable;
  readonly layer: Layer;
  /** (dModel, dModel) */
  readonly output_linear: Linear;
  protected override readonly inlined: readonly string[] = ['layer'];
  private readonly headDim: number;
  private readonly outputOrder: 'head' | 'channel';

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: H3BlockConfig, random: RandomGenerator) {
    super();
    const { dModel, layer, headDim = 1, dState = 64, outputOrder = 'head' } = config;
    checkSize('H3Block', 'dModel', dModel);
    checkSize('H3Block', 'headDim', headDim);
    checkSize('H3Block', 'dState', dState);
    checkChoice('H3Block', 'outputOrder', outputOrder, ['head', 'channel']);
    if (dModel % headDim !== 0)
      throw new OutOfRangeError(`H3Block: headDim is ${headDim}, expected a divisor of dModel (${dModel})`);
    this.dModel = dModel;
    this.headDim = headDim;
    this.outputOrder = outputOrder;
    // As the language models of the paper start; the output projection is not made smaller with depth.
    const start = { weightInit: initializers.normal(0, 0.02), biasInit: initializers.constant(0) };
    const projection = (): Linear => new Linear(dModel, dModel, random, start);
    this.q_proj = projection();
    this.k_proj = projection();
    this.v_proj = projection();
    this.ssm_k_kernel = new ShiftSSM({ dModel, dState }, random);
    this.ssm_k_D = parameter(random.normal([dModel]));
    this.layer = layer(dModel / headDim);
    this.output_linear = projection();
  }

  get constantState(): boolean {
    return this.layer.constantState;
  }

  forward(u: Tensor, options: SequenceOptions = {}): Tensor {
    this.check(u, 3);
    const { resets } = options;
    const k = this.k_proj.forward(u);
    const products = this.products(this.ssm_k_kernel.forward(k, { resets }), k, u);
    return this.output(this.layer.forward(products, { resets: this.perProduct(resets) }), u, options.gate);
  }

  prefill(u: Tensor, state?: LayerState, { resets, gate }: SequenceOptions = {}): [Tensor, LayerState] {
    this.check(u, 3);
    const shift = state && this.shiftState(state);
    const k = this.k_proj.forward(u);
    const [shifted, nextShift] = this.ssm_k_kernel.prefill(k, shift, { resets });
    const inner = state && this.join(nestedState('inner', state));
    const [y, next] = this.layer.prefill(this.products(shifted, k, u), inner, { resets: this.perProduct(resets) });
    return [this.output(y, u, gate), this.state(nextShift, next)];
  }

  step(u: Tensor, state: LayerState, { gate }: StepOptions = {}): [Tensor, LayerState] {
    this.check(u, 2);
    const k = this.k_proj.forward(u);
    const [shifted, shift] = this.ssm_k_kernel.step(k, this.shiftState(state));
    const inner = this.join(nestedState('inner', state));
    const [y, next] = this.layer.step(this.products(shifted, k, u), inner);
    return [this.output(y, u, gate), this.state(shift, next)];
  }

  initialState(batch: number): LayerState {
    const inner = this.layer.initialState(batch * this.headDim ** 2);
    return this.state(this.ssm_k_kernel.initialState(batch), inner);
  }

  /** k vᵀ of every head, the products of a sequence as sequences of their own: (batch · headDim², …, heads). */
  private products(shifted: Tensor, plain: Tensor, u: Tensor): Tensor {
    const k = shifted.add(plain.mul(this.ssm_k_D));
    const v = this.v_proj.forward(u);
    const { headDim } = this;
    if (headDim === 1) return k.mul(v);
    const [batch, ...middle] = u.shape.slice(0, -1);
    // (batch, key, value, …, heads)
    const product = this.byChannel(k).unsqueeze(2).mul(this.byChannel(v).unsqueeze(1));
    return product.reshape(batch * headDim ** 2, ...middle, this.dModel / headDim);
  }

  /** (batch, …, dModel) → (batch, headDim, …, heads) */
  private byChannel(x: Tensor): Tensor {
    const { headDim } = this;
    const split = x.reshape(...x.shape.slice(0, -1), this.dModel / headDim, headDim);
    return x.shape.length === 3 ? split.permute(0, 3, 1, 2) : split.permute(0, 2, 1);
  }

  /** Σ over keys of q times what the layer made of the products; then the projection. */
  private output(y: Tensor, u: Tensor, gate?: Tensor): Tensor {
    const q = this.q_proj.forward(u);
    let mixed = y;
    if (this.headDim === 1) mixed = y.mul(q);
    else {
      const [batch, ...middle] = u.shape.slice(0, -1);
      const all = y.reshape(batch, this.headDim, this.headDim, ...middle, this.dModel / this.headDim);
      // (batch, value, …, heads)
      const values = all.mul(this.byChannel(q).unsqueeze(2)).sum(1);
      const [value, head] = [1, values.shape.length - 1];
      const order = this.outputOrder === 'head' ? [head, value] : [value, head];
      mixed = values.permute(0, ...middle.map((_, i) => i + 2), ...order).reshape(...u.shape);
    }
    const projected = this.output_linear.forward(mixed);
    return gate ? projected.mul(silu(gate)) : projected;
  }

  /** (batch, length) → (batch · headDim², length) */
  private perProduct(resets?: Tensor): Tensor | undefined {
    const count = this.headDim ** 2;
    if (!resets || count === 1) return resets;
    const [batch, length] = resets.shape;
    return resets
      .unsqueeze(1)
      .expand(batch, count, length)
      .reshape(batch * count, length);
  }

  private state(shift: LayerState, inner: LayerState): LayerState {
    const count = this.headDim ** 2;
    const split = (x: Tensor): Tensor => (count === 1 ? x : x.reshape(x.shape[0] / count, count, ...x.shape.slice(1)));
    const parts = Object.entries(inner).map(([name, x]) => [name, split(x)]);
    return { ...nestState('shift', shift), ...nestState('inner', Object.fromEntries(parts) as LayerState) };
  }

  private join(inner: LayerState): LayerState {
    const count = this.headDim ** 2;
    if (count === 1) return inner;
    const parts = Object.entries(inner).map(([name, x]) => [name, x.reshape(x.shape[0] * count, ...x.shape.slice(2))]);
    return Object.fromEntries(parts) as LayerState;
  }

  private shiftState(state: LayerState): { window: Tensor } {
    const window = state['shift.window'];
    if (!window) throw new ShapeError('H3Block: state has no shift.window, expected that of initialState');
    return { window };
  }

  private check(u: Tensor, rank: number): void {
    if (u.shape.length === rank && u.shape[rank - 1] === this.dModel) return;
    const lead = rank === 3 ? 'batch, length' : 'batch';
    throw new ShapeError(`H3Block: x has shape ${formatShape(u.shape)}, expected (${lead}, dModel ${this.dModel})`);
  }
}
