import { Module, parameter } from '@mamba-ts/nn';
import { testSequenceLayer } from '@mamba-ts/ssm/conformance';
import {
  concat,
  cumsum,
  formatShape,
  indices,
  type RandomGenerator,
  ShapeError,
  silu,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { describe, it } from 'vitest';
import type { SequenceLayer, SequenceOptions } from '../src/index';
import { floatDevices } from './devices';

type HistoryState = { readonly history: Tensor };

/** Mean of all samples so far, times a weight: a layer whose state is its history, as that of attention is. */
class CausalMean extends Module implements SequenceLayer<HistoryState> {
  readonly constantState: boolean = false;
  readonly weight: Variable;

  constructor(
    readonly dModel: number,
    random: RandomGenerator,
  ) {
    super();
    this.weight = parameter(random.normal([dModel]));
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: HistoryState, { gate }: SequenceOptions = {}): [Tensor, HistoryState] {
    if (x.shape[2] !== this.dModel) throw new ShapeError(`CausalMean: x has shape ${formatShape(x.shape)}`);
    const history = state ? concat([state.history, x], 1) : x;
    const count = indices(history.shape, 1, { device: x.device }).cast('float32').add(1);
    const y = cumsum(history, 1)
      .div(count)
      .mul(this.weight)
      .slice(1, history.shape[1] - x.shape[1]);
    return [gate ? y.mul(silu(gate)) : y, { history }];
  }

  step(x: Tensor, state: HistoryState, { gate }: SequenceOptions = {}): [Tensor, HistoryState] {
    if (x.shape.length !== 2 || x.shape[1] !== this.dModel)
      throw new ShapeError(`CausalMean: x has shape ${formatShape(x.shape)}`);
    const [y, next] = this.prefill(x.unsqueeze(1), state, { gate: gate?.unsqueeze(1) });
    return [y.squeeze(1), next];
  }

  initialState(batch: number): HistoryState {
    return { history: zeros([batch, 0, this.dModel], { device: this.weight.device }) };
  }
}

testSequenceLayer({ describe, it }, 'with a growing state', (random) => new CausalMean(3, random), {
  devices: floatDevices,
  resets: false,
});
