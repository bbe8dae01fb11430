import { Linear, Module, parameter } from '@mamba-ts/nn';
import {
  formatShape,
  full,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  ShapeError,
  silu,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkKeys, checkPositive, checkSize, checkTimeSteps } from './check-config';
import type { Selection, SequenceLayer, SequenceOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';
import { chunkedSsd } from './ssd-chunks';
import { inverseSoftplus, logTimeSteps, type TimeStepRange } from './time-step-init';

export interface SSDConfig extends TimeStepRange {
  /** Width of this layer: dInner of a Mamba-2 block. */
  readonly dModel: number;
  /** States a channel, N. Default 128. */
  readonly dState?: number;
  /** Channels that share a decay, P: a divisor of dModel. Default 64, or dModel where that is less. */
  readonly headDim?: number;
  /** Heads of one group share B and C: a divisor of the heads. Default 1. */
  readonly nGroups?: number;
  /**
   * Steps that `forward` handles at once. The result does not depend on it; time and memory do: (batch, length, heads,
   * chunkSize) numbers are kept for the gradient. Default 64. [choice] The official kernels take 256.
   */
  readonly chunkSize?: number;
  /** Initial −A, one number a head, is uniform in this range. Default [1, 16]. */
  readonly aInitRange?: readonly [number, number];
  /** Smallest initial Δ. Default 1e-4. */
  readonly dtInitFloor?: number;
  /** Δ is clamped to this range. Default [0, Infinity]. */
  readonly dtLimit?: readonly [number, number];
  /** One skip D a channel instead of one a head. Default false. */
  readonly dPerChannel?: boolean;
  /**
   * Where B, C and Δ come from: a projection of the layer's own (`layer`, default), or the block around it (`block`, as
   * Mamba-2 does: it must then pass `selection`).
   */
  readonly projection?: 'layer' | 'block';
}

export type SSDState = {
  /** (batch, heads, headDim, dState) */
  readonly ssm: Tensor;
};

const settings: Readonly<Record<keyof SSDConfig, true>> = {
  dModel: true,
  dState: true,
  headDim: true,
  nGroups: true,
  chunkSize: true,
  aInitRange: true,
  dtMin: true,
  dtMax: true,
  dtInitFloor: true,
  dtLimit: true,
  dPerChannel: true,
  projection: true,
};

/**
 * SSD, the selective state space layer of Mamba-2 (arXiv 2405.21060): S6 with one scalar decay a head, so that it is
 * also a masked attention: h_t = exp(Δ_t A) h_{t−1} + Δ_t x_t B_tᵀ, y_t = h_t C_t + D x_t, with h (headDim, dState).
 * `forward` is made of matrix products over chunks of time, `step` is the recurrence.
 *
 * Parameters are named as in the released checkpoints (dt_bias, A_log, D); a projection of its own is `x_proj`, with
 * rows [B, C, Δ].
 */
export class SSD extends Module implements SequenceLayer<SSDState> {
  readonly dModel: number;
  readonly constantState: boolean = true;
  /** (2 nGroups dState + heads, dModel), rows [B, C, Δ]; null where the block projects */
  readonly x_proj: Linear | null;
  /** softplus⁻¹ of the initial Δ: (heads) */
  readonly dt_bias: Variable;
  /** ln(−A): (heads) */
  readonly A_log: Variable;
  /** Skip: (heads), or (dModel) */
  readonly D: Variable;
  readonly heads: number;
  /** Features of B and C together, as the block's projection makes them: 2 nGroups dState. */
  readonly selectionWidth: number;
  private readonly headDim: number;
  private readonly dState: number;
  private readonly nGroups: number;
  private readonly chunkSize: number;
  private readonly dtLimit: readonly [number, number];

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: SSDConfig, random: RandomGenerator) {
    super();
    checkConfig(config);
    const {
      dModel,
      dState = 128,
      headDim = Math.min(64, config.dModel),
      nGroups = 1,
      chunkSize = 64,
      dtLimit = [0, Infinity],
    } = config;
    const { aInitRange = [1, 16], dtInitFloor = 1e-4, dPerChannel = false, projection = 'layer' } = config;
    const heads = dModel / headDim;
    this.dModel = dModel;
    this.heads = heads;
    this.selectionWidth = 2 * nGroups * dState;
    this.headDim = headDim;
    this.dState = dState;
    this.nGroups = nGroups;
    this.chunkSize = chunkSize;
    this.dtLimit = dtLimit;
    this.x_proj =
      projection === 'block' ? null : new Linear(dModel, this.selectionWidth + heads, random, { bias: false });
    const constants = { weightDecay: false };
    this.dt_bias = parameter(
      scope(() => inverseSoftplus(logTimeSteps([heads], random, config).exp().maximum(dtInitFloor))),
      constants,
    );
    this.A_log = parameter(
      scope(() => random.uniform([heads], ...aInitRange).log()),
      constants,
    );
    this.D = parameter(full([dPerChannel ? dModel : heads], 1, { device: random.state.device }), constants);
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: SSDState, options: SequenceOptions = {}): [Tensor, SSDState] {
    checkInput('SSD', this, x, options, state);
    const [batch, length] = x.shape;
    const { heads, headDim, nGroups, dState } = this;
    const { B, C, dt, logDecay } = this.selected(x, options.selection);
    const u = x.reshape(batch, length, heads, headDim);
    const grouped = (t: Tensor): Tensor => t.reshape(batch, length, nGroups, dState);
    const [y, ssm] = chunkedSsd(
      {
        x: u.mul(dt.unsqueeze(-1)),
        logDecay,
        B: grouped(B),
        C: grouped(C),
        initialState: state?.ssm,
        resets: options.resets,
      },
      this.chunkSize,
    );
    return [this.output(y, u, x.shape, options.gate), { ssm }];
  }

  step(x: Tensor, state: SSDState, options: Omit<SequenceOptions, 'resets'> = {}): [Tensor, SSDState] {
    checkStep('SSD', this, x, options, state);
    const [batch] = x.shape;
    const { heads, headDim, nGroups, dState } = this;
    const { B, C, dt, logDecay } = this.selected(x, options.selection);
    const u = x.reshape(batch, heads, headDim);
    // (batch, groups, 1, dState), one row for all heads of the group
    const perHead = (t: Tensor): Tensor =>
      t
        .reshape(batch, nGroups, 1, dState)
        .expand(batch, nGroups, heads / nGroups, dState)
        .reshape(batch, heads, 1, dState);
    const input = u.mul(dt.unsqueeze(-1)).unsqueeze(-1).mul(perHead(B));
    const ssm = state.ssm.mul(logDecay.exp().reshape(batch, heads, 1, 1)).add(input);
    return [this.output(ssm.mul(perHead(C)).sum(-1), u, x.shape, options.gate), { ssm }];
  }

  initialState(batch: number): SSDState {
    checkSize('SSD', 'batch', batch);
    return { ssm: zeros([batch, this.heads, this.headDim, this.dState], { device: this.D.device }) };
  }

  /** B, C, Δ and ln a = Δ A of an input (…, dModel); Δ and ln a are (…, heads). */
  private selected(x: Tensor, given: Selection | undefined): Selection & { readonly logDecay: Tensor } {
    const { B, C, dt: raw } = given ? this.checked(x, given) : this.projected(x);
    const [low, high] = this.dtLimit;
    let dt = raw.add(this.dt_bias).softplus();
    if (low > 0) dt = dt.maximum(low);
    if (high < Infinity) dt = dt.minimum(high);
    return { B, C, dt, logDecay: dt.mul(this.A_log.exp().neg()) };
  }

  private projected(x: Tensor): Selection {
    if (!this.x_proj)
      throw new ShapeError('SSD: selection is missing, expected B, C and dt from the block (projection is block)');
    const all = this.x_proj.forward(x);
    const half = this.selectionWidth / 2;
    return { B: all.slice(-1, 0, half), C: all.slice(-1, half, 2 * half), dt: all.slice(-1, 2 * half) };
  }

  private checked(x: Tensor, selection: Selection): Selection {
    if (this.x_proj)
      throw new ShapeError('SSD: selection is given, expected none: the layer projects B, C and Δ itself');
    const half = this.selectionWidth / 2;
    for (const [name, width] of [
      ['B', half],
      ['C', half],
      ['dt', this.heads],
    ] as const) {
      const { shape } = selection[name];
      const expected = [...x.shape.slice(0, -1), width];
      if (shape.join() !== expected.join())
        throw new ShapeError(
          `SSD: selection.${name} has shape ${formatShape(shape)}, expected ${formatShape(expected)}`,
        );
    }
    return selection;
  }

  /** y + D x, gated; both (…, heads, headDim). */
  private output(y: Tensor, u: Tensor, shape: readonly number[], gate: Tensor | undefined): Tensor {
    const D = this.D.reshape(this.heads, -1); // one number a head or one a channel
    const out = y.add(u.mul(D)).reshape(...shape);
    return gate ? out.mul(silu(gate)) : out;
  }
}

function checkConfig(config: SSDConfig): void {
  checkKeys('SSD', config, settings);
  const {
    dModel,
    dState = 128,
    headDim = Math.min(64, config.dModel),
    nGroups = 1,
    chunkSize = 64,
    dtLimit = [0, Infinity],
  } = config;
  const { aInitRange = [1, 16] } = config;
  for (const [name, value] of Object.entries({ dModel, dState, headDim, nGroups, chunkSize }))
    checkSize('SSD', name, value);
  if (dModel % headDim !== 0)
    throw new OutOfRangeError(`SSD: headDim is ${headDim}, expected a divisor of dModel (${dModel})`);
  if ((dModel / headDim) % nGroups !== 0)
    throw new OutOfRangeError(`SSD: nGroups is ${nGroups}, expected a divisor of the heads (${dModel / headDim})`);
  if (!(aInitRange[0] > 0 && aInitRange[1] >= aInitRange[0] && Number.isFinite(aInitRange[1])))
    throw new OutOfRangeError(`SSD: aInitRange is [${aInitRange.join(', ')}], expected 0 < low <= high`);
  if (!(dtLimit[0] >= 0 && dtLimit[1] >= dtLimit[0]))
    throw new OutOfRangeError(`SSD: dtLimit is [${dtLimit.join(', ')}], expected 0 <= low <= high`);
  checkTimeSteps('SSD', config.dtMin ?? 0.001, config.dtMax ?? 0.1);
  checkPositive('SSD', 'dtInitFloor', config.dtInitFloor ?? 1e-4);
}
