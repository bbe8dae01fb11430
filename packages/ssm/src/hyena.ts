import { Conv1d, Linear, Module } from '@mamba-ts/nn';
import { type RandomGenerator, silu, split, type Tensor, zeros } from '@mamba-ts/tensor';
import { checkKeys, checkSize } from './check-config';
import { convolveNext, convolveOn } from './history-convolution';
import { checkHyenaFilter, HyenaFilter, type HyenaFilterConfig, hyenaFilterSettings } from './hyena-filter';
import type { LayerState, SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
import { checkHistoryStep, checkInput } from './sequence-layer-checks';

export interface HyenaConfig extends HyenaFilterConfig {
  readonly dModel: number;
  /** Gates, one more than there are long convolutions, n. Default 2. */
  readonly order?: number;
  /** Width of the short convolution. Default 3. */
  readonly shortFilter?: number;
}

/** `window` (batch, shortFilter − 1, (order + 1) dModel) of the short convolution; `history.0`, … (batch, seen, dModel). */
export type HyenaState = LayerState;

/**
 * The Hyena operator (arXiv 2302.10866, §3.1, definition 3.1): of projections x_0, …, x_{n−1} and v through a short convolution,
 * v ← h_o * (x_i v) for i = n − 1 … 1, and out_proj(x_0 v).
 *
 * Parameters are named as in the safari repository. There is no recurrence: a step costs as much as its history is long, up to
 * lMax.
 */
export class Hyena extends Module implements SequenceLayer<HyenaState> {
  readonly dModel: number;
  readonly constantState: boolean = false;
  /** ((order + 1) dModel, dModel), rows [x_0; …; x_{n−1}; v] */
  readonly in_proj: Linear;
  readonly out_proj: Linear;
  readonly short_filter: Conv1d;
  /** Channels [o; d] of the long convolutions. */
  readonly filter_fn: HyenaFilter;
  private readonly order: number;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: HyenaConfig, random: RandomGenerator) {
    super();
    const { dModel, order = 2, shortFilter = 3 } = config;
    checkKeys('Hyena', config, { dModel: true, order: true, shortFilter: true, ...hyenaFilterSettings });
    checkSize('Hyena', 'dModel', dModel);
    checkSize('Hyena', 'order', order, 2);
    checkSize('Hyena', 'shortFilter', shortFilter);
    checkHyenaFilter('Hyena', config);
    this.dModel = dModel;
    this.order = order;
    const inner = (order + 1) * dModel;
    this.in_proj = new Linear(dModel, inner, random);
    this.out_proj = new Linear(dModel, dModel, random);
    this.short_filter = new Conv1d(inner, shortFilter, random);
    this.filter_fn = new HyenaFilter((order - 1) * dModel, config, random);
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: HyenaState, { resets, gate }: SequenceOptions = {}): [Tensor, HyenaState] {
    checkInput('Hyena', this, x, { resets, gate });
    const [projected, window] = this.short_filter.prefill(this.in_proj.forward(x), { initial: state?.window, resets });
    return this.mix(projected, gate, window, (v, o) =>
      convolveOn(v, (count) => this.ofConvolution(this.filter_fn.taps(count), o), state?.[`history.${o}`], resets),
    );
  }

  step(x: Tensor, state: HyenaState, { gate }: StepOptions = {}): [Tensor, HyenaState] {
    checkHistoryStep('Hyena', this, x, { gate });
    const [projected, window] = this.short_filter.step(this.in_proj.forward(x), state.window);
    return this.mix(projected, gate, window, (v, o) =>
      convolveNext(v, (count) => this.ofConvolution(this.filter_fn.stepTaps(count), o), state[`history.${o}`]),
    );
  }

  initialState(batch: number): HyenaState {
    checkSize('Hyena', 'batch', batch);
    const { device } = this.filter_fn.bias;
    const histories = Array.from({ length: this.order - 1 }, (_, o) => [
      `history.${o}`,
      zeros([batch, 0, this.dModel], { device }),
    ]);
    return { window: this.short_filter.initialWindow(batch), ...Object.fromEntries(histories) };
  }

  /** The recurrence over the gates, of whole sequences or of single samples. */
  private mix(
    projected: Tensor,
    gate: Tensor | undefined,
    window: Tensor,
    convolve: (v: Tensor, o: number) => [Tensor, Tensor],
  ): [Tensor, HyenaState] {
    const parts = split(projected, new Array<number>(this.order + 1).fill(this.dModel));
    const state: Record<string, Tensor> = { window };
    let v = parts[this.order];
    for (let o = 0; o < this.order - 1; o++) {
      const gated = v.mul(parts[this.order - 1 - o]);
      const [convolved, history] = convolve(gated, o);
      v = convolved.add(gated.mul(this.ofConvolution(this.filter_fn.bias, o)));
      state[`history.${o}`] = history;
    }
    const y = this.out_proj.forward(v.mul(parts[0]));
    return [gate ? y.mul(silu(gate)) : y, state];
  }

  /** Of channels [o; d], those of one convolution. */
  private ofConvolution(x: Tensor, o: number): Tensor {
    return x.slice(-1, o * this.dModel, (o + 1) * this.dModel);
  }
}
