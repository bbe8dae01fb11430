import { Conv1d, initializers, Linear, Module, RMSNorm } from '@mamba-ts/nn';
import {
  checkSize,
  type LayerState,
  nestedState,
  nestState,
  type Selection,
  type SequenceLayer,
  type SequenceOptions,
  type StepOptions,
} from '@mamba-ts/ssm';
import { formatShape, OutOfRangeError, type RandomGenerator, ShapeError, silu, type Tensor } from '@mamba-ts/tensor';
import type { InnerLayer, Layer } from './block';

export interface Mamba2BlockConfig {
  readonly dModel: number;
  /** Makes the layer in the middle, SSD in Mamba-2, at width dInner = expand · dModel. */
  readonly layer: InnerLayer;
  /** Default 2. */
  readonly expand?: number;
  /** Width of the short convolution. Default 4. */
  readonly dConv?: number;
  /** Default true. */
  readonly convBias?: boolean;
  /** Initial weights of the convolution are uniform in ± this. Default null: 1/√dConv. */
  readonly convInit?: number | null;
  /** Biases of the two projections. Default false. */
  readonly bias?: boolean;
  /** The RMS norm before the output projection. Default true. */
  readonly norm?: boolean;
  /** Gate after the norm instead of before it. Default false. */
  readonly normBeforeGate?: boolean;
  /** Statistics of the norm are taken over dInner / normGroups channels at a time. Default 1. */
  readonly normGroups?: number;
  /** Default 1e-5. */
  readonly normEpsilon?: number;
  /** Blocks of the model: the output projection starts 1/√nLayer as large. Default 1. */
  readonly nLayer?: number;
}

/** A layer that lets the block project its Δ, B and C: SSD. */
interface SelectedLayer {
  /** Features of B and C together. */
  readonly selectionWidth: number;
  /** Features of Δ. */
  readonly heads: number;
}

function isSelected(layer: object): layer is SelectedLayer {
  return 'selectionWidth' in layer && 'heads' in layer;
}

/**
 * The Mamba-2 block (arXiv 2405.21060, figure 6): out_proj(norm(layer(x, B, C, Δ) · silu(z))) with [z; x; B; C; Δ] =
 * in_proj(input), where x, B and C pass one convolution and silu together. An inner layer that projects for itself (all
 * but SSD) gets x alone.
 *
 * Parameters are named as in the released checkpoints. State: `conv`, the last dConv − 1 inputs of the convolution
 * (batch, dConv − 1, dInner + width of B and C), and the inner layer's under `inner.`.
 */
export class Mamba2Block extends Module implements SequenceLayer {
  readonly dModel: number;
  readonly dInner: number;
  /** rows [z; x; B; C; Δ] */
  readonly in_proj: Linear;
  readonly conv1d: Conv1d;
  readonly layer: Layer;
  /** (dInner); null where the block has no norm */
  readonly norm: RMSNorm | null;
  readonly out_proj: Linear;
  protected override readonly inlined: readonly string[] = ['layer'];
  private readonly normBeforeGate: boolean;
  /** Features of B and C, and of Δ, that the block projects for its layer. */
  private readonly selectionWidth: number;
  private readonly heads: number;

  constructor(config: Mamba2BlockConfig, random: RandomGenerator) {
    super();
    const { dModel, expand = 2, dConv = 4, convBias = true, convInit = null, bias = false, nLayer = 1 } = config;
    const { norm = true, normBeforeGate = false, normGroups = 1, normEpsilon = 1e-5 } = config;
    checkSize('Mamba2Block', 'dModel', dModel);
    checkSize('Mamba2Block', 'dConv', dConv);
    checkSize('Mamba2Block', 'nLayer', nLayer);
    const dInner = expand * dModel;
    if (!Number.isInteger(dInner) || dInner < 1)
      throw new OutOfRangeError(
        `Mamba2Block: expand is ${expand}, expected expand · dModel (${dModel}) to be an integer >= 1`,
      );
    this.dModel = dModel;
    this.dInner = dInner;
    this.normBeforeGate = normBeforeGate;
    this.layer = config.layer(dInner, { projection: 'block' });
    this.selectionWidth = isSelected(this.layer) ? this.layer.selectionWidth : 0;
    this.heads = isSelected(this.layer) ? this.layer.heads : 0;
    const biasInit = initializers.constant(0);
    const convolved = dInner + this.selectionWidth;
    this.in_proj = new Linear(dModel, dInner + convolved + this.heads, random, { bias, biasInit });
    const convWeight = convInit === null ? undefined : initializers.uniform(-convInit, convInit);
    this.conv1d = new Conv1d(convolved, dConv, random, { bias: convBias, weightInit: convWeight });
    this.norm = norm
      ? new RMSNorm(dInner, { eps: normEpsilon, groups: normGroups, device: random.state.device })
      : null;
    const weightInit = initializers.scaled(initializers.uniformFanIn(), 1 / Math.sqrt(nLayer));
    this.out_proj = new Linear(dInner, dModel, random, { bias, biasInit, weightInit });
  }

  get constantState(): boolean {
    return this.layer.constantState;
  }

  forward(u: Tensor, { resets, gate }: SequenceOptions = {}): Tensor {
    const { z, xBC, dt } = this.project(u, 3);
    const [x, selection] = this.split(this.conv1d.forward(xBC, { resets, silu: true }), dt);
    return this.output(this.layer.forward(x, { ...this.innerGate(z), selection, resets }), z, gate);
  }

  prefill(u: Tensor, state?: LayerState, { resets, gate }: SequenceOptions = {}): [Tensor, LayerState] {
    const { z, xBC, dt } = this.project(u, 3);
    const [active, conv] = this.conv1d.prefill(xBC, { initial: state && this.window(state), resets, silu: true });
    const [x, selection] = this.split(active, dt);
    const inner = state && nestedState('inner', state);
    const [y, next] = this.layer.prefill(x, inner, { ...this.innerGate(z), selection, resets });
    return [this.output(y, z, gate), { conv, ...nestState('inner', next) }];
  }

  step(u: Tensor, state: LayerState, { gate }: StepOptions = {}): [Tensor, LayerState] {
    const { z, xBC, dt } = this.project(u, 2);
    const [convolved, conv] = this.conv1d.step(xBC, this.window(state));
    const [x, selection] = this.split(silu(convolved), dt);
    const [y, next] = this.layer.step(x, nestedState('inner', state), { ...this.innerGate(z), selection });
    return [this.output(y, z, gate), { conv, ...nestState('inner', next) }];
  }

  initialState(batch: number): LayerState {
    return { conv: this.conv1d.initialWindow(batch), ...nestState('inner', this.layer.initialState(batch)) };
  }

  private project(u: Tensor, rank: number): { z: Tensor; xBC: Tensor; dt: Tensor } {
    if (u.shape.length !== rank || u.shape[rank - 1] !== this.dModel) {
      const lead = rank === 3 ? 'batch, length' : 'batch';
      throw new ShapeError(
        `Mamba2Block: x has shape ${formatShape(u.shape)}, expected (${lead}, dModel ${this.dModel})`,
      );
    }
    const all = this.in_proj.forward(u);
    const end = 2 * this.dInner + this.selectionWidth;
    return { z: all.slice(-1, 0, this.dInner), xBC: all.slice(-1, this.dInner, end), dt: all.slice(-1, end) };
  }

  /** x, and B, C and Δ for a layer that takes them. */
  private split(active: Tensor, dt: Tensor): [Tensor, Selection | undefined] {
    const { dInner, selectionWidth } = this;
    if (selectionWidth === 0) return [active, undefined];
    const middle = dInner + selectionWidth / 2;
    return [active.slice(-1, 0, dInner), { B: active.slice(-1, dInner, middle), C: active.slice(-1, middle), dt }];
  }

  /** The layer gates where nothing stands between it and the gate. */
  private innerGate(z: Tensor): { gate?: Tensor } {
    return this.normBeforeGate && this.norm ? {} : { gate: z };
  }

  private window(state: LayerState): Tensor {
    if (!state.conv)
      throw new ShapeError(
        `Mamba2Block: state has no conv, expected conv of shape (batch, ${this.conv1d.width - 1}, ${this.conv1d.channels})`,
      );
    return state.conv;
  }

  private output(y: Tensor, z: Tensor, gate?: Tensor): Tensor {
    let normed = this.norm ? this.norm.forward(y) : y;
    if (this.norm && this.normBeforeGate) normed = normed.mul(silu(z));
    const mixed = this.out_proj.forward(normed);
    return gate ? mixed.mul(silu(gate)) : mixed;
  }
}
