import { Conv1d, initializers, Linear, Module } from '@mamba-ts/nn';
import { checkSize, type LayerState, type SequenceLayer, type SequenceOptions } from '@mamba-ts/ssm';
import {
  concat,
  cumsum,
  formatShape,
  indices,
  OutOfRangeError,
  type RandomGenerator,
  ShapeError,
  silu,
  softmax,
  type Tensor,
  where,
  zeros,
} from '@mamba-ts/tensor';
import { rotary, type RotaryConfig } from './rotary';

export interface AttentionBlockConfig extends Partial<RotaryConfig> {
  readonly dModel: number;
  /** Default dModel / headDim. */
  readonly numHeads?: number;
  /** Heads of keys and values, a divisor of numHeads. Default numHeads. */
  readonly numHeadsKv?: number;
  /** Default dModel / numHeads; without either, 64, or dModel where that is less. */
  readonly headDim?: number;
  /** Width of a short convolution over queries, keys and values; 0: none. Default 0. */
  readonly dConv?: number;
  /** Width of a gated MLP beside the attention, rounded up to a multiple of 256; 0: none. Default 0. */
  readonly mlpDim?: number;
  /** Default true. */
  readonly qkvBias?: boolean;
  /** Default true. */
  readonly outBias?: boolean;
  /** Blocks of the model: the output projection starts 1/√nLayer as large. Default 1. */
  readonly nLayer?: number;
}

/**
 * Causal multi-head attention as in the hybrids of Mamba-2 (arXiv 2405.21060, §9.2.3): out_proj([softmax(q kᵀ / √headDim)
 * v; mlp]) with [q; k; v; mlp] = in_proj(input), rotary positions and a short convolution over q, k and v.
 *
 * Parameters are named as in the released checkpoints. State: `keys` and `values` (batch, steps so far, numHeadsKv,
 * headDim), `visible` (batch, steps so far), 0 where a packed sequence has ended, and the window `conv` where there is a
 * convolution. A step costs as much as the history is long.
 */
export class AttentionBlock extends Module implements SequenceLayer {
  readonly constantState: boolean = false;
  readonly dModel: number;
  /** rows [q; k; v; mlp, gate] */
  readonly in_proj: Linear;
  readonly conv1d: Conv1d | null;
  readonly out_proj: Linear;
  private readonly heads: number;
  private readonly headsKv: number;
  private readonly headDim: number;
  private readonly mlpDim: number;
  private readonly rotaryConfig: RotaryConfig;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: AttentionBlockConfig, random: RandomGenerator) {
    super();
    const { dModel, dConv = 0, mlpDim = 0 } = config;
    const { headDim = config.numHeads === undefined ? Math.min(64, dModel) : dModel / config.numHeads } = config;
    const { numHeads = dModel / headDim } = config;
    const { numHeadsKv = numHeads } = config;
    const { qkvBias = true, outBias = true, nLayer = 1, rotaryDim = 0 } = config;
    for (const [name, value] of Object.entries({ dModel, numHeads, numHeadsKv, headDim, nLayer }))
      checkSize('AttentionBlock', name, value);
    for (const [name, value] of Object.entries({ dConv, mlpDim, rotaryDim }))
      checkSize('AttentionBlock', name, value, 0);
    if (numHeads % numHeadsKv !== 0)
      throw new OutOfRangeError(
        `AttentionBlock: numHeadsKv is ${numHeadsKv}, expected a divisor of numHeads (${numHeads})`,
      );
    if (rotaryDim % 2 !== 0 || rotaryDim > headDim)
      throw new OutOfRangeError(
        `AttentionBlock: rotaryDim is ${rotaryDim}, expected an even number up to headDim (${headDim})`,
      );
    this.dModel = dModel;
    this.heads = numHeads;
    this.headsKv = numHeadsKv;
    this.headDim = headDim;
    this.mlpDim = Math.ceil(mlpDim / 256) * 256;
    this.rotaryConfig = { ...config, rotaryDim };
    const qkv = headDim * (numHeads + 2 * numHeadsKv);
    const biasInit = initializers.constant(0);
    this.in_proj = new Linear(dModel, qkv + this.mlpDim, random, { bias: qkvBias, biasInit });
    this.conv1d = dConv > 0 ? new Conv1d(qkv, dConv, random) : null;
    const weightInit = initializers.scaled(initializers.uniformFanIn(), 1 / Math.sqrt(nLayer));
    const mixed = headDim * numHeads + this.mlpDim / 2;
    this.out_proj = new Linear(mixed, dModel, random, { bias: outBias, biasInit, weightInit });
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: LayerState, { resets, gate }: SequenceOptions = {}): [Tensor, LayerState] {
    const [batch, length] = x.shape;
    if (x.shape.length !== 3 || x.shape[2] !== this.dModel)
      throw new ShapeError(
        `AttentionBlock: x has shape ${formatShape(x.shape)}, expected (batch, length, dModel ${this.dModel})`,
      );
    const past = state ?? this.initialState(batch);
    const { heads, headsKv, headDim } = this;
    const projected = this.in_proj.forward(x);
    const width = headDim * (heads + 2 * headsKv);
    const raw = projected.slice(-1, 0, width);
    const [qkv, conv] = this.conv1d ? this.conv1d.prefill(raw, { initial: past.conv, resets }) : [raw, null];
    const seen = past.keys.shape[1];
    const part = (from: number, count: number): Tensor =>
      qkv.slice(-1, from * headDim, (from + count) * headDim).reshape(batch, length, count, headDim);
    const q = rotary(part(0, heads), seen, this.rotaryConfig);
    const keys = concat([past.keys, rotary(part(heads, headsKv), seen, this.rotaryConfig)], 1);
    const values = concat([past.values, part(heads + headsKv, headsKv)], 1);
    // Sequences that have begun since the first sample of x: those of equal number see each other.
    const begun = resets ? cumsum(resets.notEqual(0).cast('float32'), 1) : zeros([batch, length], { device: x.device });
    const hidden = -1;
    const segment = concat(
      [where(past.visible.notEqual(0), zeros([batch, seen], { device: x.device }), hidden), begun],
      1,
    );
    const y = this.attend(q, keys, values, begun, segment);
    const visible = segment.equal(begun.slice(1, length - 1)).cast('float32');
    const next = { keys, values, visible, ...(conv ? { conv } : {}) };
    return [this.output(y, projected.slice(-1, width), gate), next];
  }

  step(x: Tensor, state: LayerState, { gate }: Omit<SequenceOptions, 'resets'> = {}): [Tensor, LayerState] {
    if (x.shape.length !== 2 || x.shape[1] !== this.dModel)
      throw new ShapeError(
        `AttentionBlock: x has shape ${formatShape(x.shape)}, expected (batch, dModel ${this.dModel})`,
      );
    const [y, next] = this.prefill(x.unsqueeze(1), state, { gate: gate?.unsqueeze(1) });
    return [y.squeeze(1), next];
  }

  initialState(batch: number): LayerState {
    const { device } = this.in_proj.weight;
    const empty = (): Tensor => zeros([batch, 0, this.headsKv, this.headDim], { device });
    return {
      keys: empty(),
      values: empty(),
      visible: zeros([batch, 0], { device }),
      ...(this.conv1d ? { conv: this.conv1d.initialWindow(batch) } : {}),
    };
  }

  /**
   * @param q (batch, length, heads, headDim)
   * @param keys (batch, total, headsKv, headDim), and values: those of the past, then those of q's samples
   * @param begun (batch, length): the sequence of each query
   * @param segment (batch, total): the sequence of each key
   * @returns (batch, length, heads · headDim)
   */
  private attend(q: Tensor, keys: Tensor, values: Tensor, begun: Tensor, segment: Tensor): Tensor {
    const [batch, length] = q.shape;
    const total = keys.shape[1];
    const { heads, headsKv, headDim } = this;
    const shared = heads / headsKv;
    // Heads that share keys are rows of one product: (batch, headsKv, shared · length, headDim).
    const rows = q
      .reshape(batch, length, headsKv, shared, headDim)
      .permute(0, 2, 3, 1, 4)
      .reshape(batch, headsKv, shared * length, headDim);
    const scores = rows
      .matmul(keys.permute(0, 2, 1, 3), { transposeB: true })
      .mul(1 / Math.sqrt(headDim))
      .reshape(batch, headsKv, shared, length, total);
    const shape = [batch, length, total];
    const row = indices(shape, 1, { device: q.device }).add(total - length);
    const visible = indices(shape, 2, { device: q.device })
      .lessEqual(row)
      .and(begun.unsqueeze(2).equal(segment.unsqueeze(1)))
      .reshape(batch, 1, 1, length, total);
    const weights = softmax(where(visible.expand(...scores.shape), scores, -Infinity)).reshape(
      batch,
      headsKv,
      shared * length,
      total,
    );
    return weights
      .matmul(values.permute(0, 2, 1, 3))
      .reshape(batch, headsKv, shared, length, headDim)
      .permute(0, 3, 1, 2, 4)
      .reshape(batch, length, heads * headDim);
  }

  private output(y: Tensor, mlp: Tensor, gate?: Tensor): Tensor {
    const half = this.mlpDim / 2;
    const beside = half > 0 ? [mlp.slice(-1, 0, half).mul(silu(mlp.slice(-1, half)))] : [];
    const mixed = this.out_proj.forward(concat([y, ...beside], 2));
    return gate ? mixed.mul(silu(gate)) : mixed;
  }
}
