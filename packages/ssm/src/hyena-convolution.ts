import { Module } from '@mamba-ts/nn';
import { type RandomGenerator, silu, type Tensor, zeros } from '@mamba-ts/tensor';
import { checkKeys, checkSize } from './check-config';
import { convolveNext, convolveOn } from './history-convolution';
import { checkHyenaFilter, HyenaFilter, type HyenaFilterConfig, hyenaFilterSettings } from './hyena-filter';
import type { SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
import { checkHistoryStep, checkInput } from './sequence-layer-checks';

export interface HyenaConvolutionConfig extends HyenaFilterConfig {
  readonly dModel: number;
}

export type HyenaConvolutionState = {
  /** (batch, seen, dModel): all samples so far. */
  readonly history: Tensor;
};

/**
 * The long convolution of Hyena by itself: what stands in the place of an SSM where the Mamba paper's tables say Hyena. Each
 * channel is convolved with an implicit filter and gets its own skip.
 *
 * There is no recurrence: a step costs as much as its history is long, up to lMax.
 */
export class HyenaConvolution extends Module implements SequenceLayer<HyenaConvolutionState> {
  readonly dModel: number;
  readonly constantState: boolean = false;
  readonly filter_fn: HyenaFilter;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: HyenaConvolutionConfig, random: RandomGenerator) {
    super();
    checkKeys('HyenaConvolution', config, { dModel: true, ...hyenaFilterSettings });
    checkSize('HyenaConvolution', 'dModel', config.dModel);
    checkHyenaFilter('HyenaConvolution', config);
    this.dModel = config.dModel;
    this.filter_fn = new HyenaFilter(config.dModel, config, random);
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(
    x: Tensor,
    state?: HyenaConvolutionState,
    { resets, gate }: SequenceOptions = {},
  ): [Tensor, HyenaConvolutionState] {
    checkInput('HyenaConvolution', this, x, { resets, gate });
    const [y, history] = convolveOn(x, (count) => this.filter_fn.taps(count), state?.history, resets);
    return [this.output(y, x, gate), { history }];
  }

  step(x: Tensor, state: HyenaConvolutionState, options: StepOptions = {}): [Tensor, HyenaConvolutionState] {
    checkHistoryStep('HyenaConvolution', this, x, options);
    const [y, history] = convolveNext(x, (count) => this.filter_fn.stepTaps(count), state.history);
    return [this.output(y, x, options.gate), { history }];
  }

  initialState(batch: number): HyenaConvolutionState {
    checkSize('HyenaConvolution', 'batch', batch);
    return { history: zeros([batch, 0, this.dModel], { device: this.filter_fn.bias.device }) };
  }

  private output(y: Tensor, x: Tensor, gate?: Tensor): Tensor {
    const sum = y.add(x.mul(this.filter_fn.bias));
    return gate ? sum.mul(silu(gate)) : sum;
  }
}
