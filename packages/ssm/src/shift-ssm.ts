import { Module, parameter, windowAfter } from '@mamba-ts/nn';
import {
  arange,
  causalConv1d,
  concat,
  longConv,
  type RandomGenerator,
  scope,
  silu,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkKeys, checkSize } from './check-config';
import type { SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';

export interface ShiftSSMConfig {
  readonly dModel: number;
  /** How many samples it sees, N. Default 64. */
  readonly dState?: number;
  /** Peak learning rate of B; null for the optimiser's. Default 0.001; it gets no weight decay. */
  readonly learningRate?: number | null;
}

export type ShiftSSMState = {
  /** (batch, dState − 1, dModel): the samples before, oldest first. */
  readonly window: Tensor;
};

/** Parameters of the shift SSM, as in the H3 repository. */
export class ShiftKernel extends Module {
  /** (dModel, dState); starts as e₁ */
  readonly B: Variable;
  /** (1, dModel, dState) */
  readonly C: Variable;

  constructor({ dModel, dState = 64, learningRate = 0.001 }: ShiftSSMConfig, random: RandomGenerator) {
    super();
    const { device } = random.state;
    const slow = learningRate === null ? { weightDecay: false } : { learningRate, weightDecay: false };
    const first = (): Tensor => arange(dState, { device }).equal(0).cast('float32').expand(dModel, dState);
    this.B = parameter(scope(first), slow);
    const bound = 1 / Math.sqrt(dState);
    this.C = parameter(random.uniform([1, dModel, dState], -bound, bound));
  }

  /** K_l = Σ_j B_j C_{j+l}, what a sample l steps ago weighs: (dState, dModel). */
  taps(): Tensor {
    // From the end of C: Σ_j B_j C_{n−1−(t−j)} is a causal convolution of the reversed C.
    const reversed = this.C.transpose(1, 2).flip(1);
    return longConv(reversed, this.B.transpose()).flip(1).squeeze(0);
  }
}

/**
 * The shift SSM of H3 (arXiv 2212.14052, §3.1): A moves the state by one place, so that it holds the last dState inputs (of B
 * = e₁), and y = C x weighs them: a short convolution. It has no skip of its own.
 */
export class ShiftSSM extends Module implements SequenceLayer<ShiftSSMState> {
  readonly dModel: number;
  readonly constantState: boolean = true;
  readonly kernel: ShiftKernel;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: ShiftSSMConfig, random: RandomGenerator) {
    super();
    checkKeys('ShiftSSM', config, { dModel: true, dState: true, learningRate: true });
    checkSize('ShiftSSM', 'dModel', config.dModel);
    checkSize('ShiftSSM', 'dState', config.dState ?? 64);
    this.dModel = config.dModel;
    this.kernel = new ShiftKernel(config, random);
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: ShiftSSMState, { resets, gate }: SequenceOptions = {}): [Tensor, ShiftSSMState] {
    checkInput('ShiftSSM', this, x, { resets, gate }, state);
    const around = { initial: state?.window, resets };
    const y = causalConv1d(x, this.kernel.taps().flip(0).transpose(), around);
    const window = windowAfter(x, this.kernel.B.shape[1] - 1, around);
    return [gate ? y.mul(silu(gate)) : y, { window }];
  }

  step(x: Tensor, state: ShiftSSMState, { gate }: StepOptions = {}): [Tensor, ShiftSSMState] {
    checkStep('ShiftSSM', this, x, { gate }, state);
    const taps = this.kernel.taps().flip(0).derived();
    const now = x.unsqueeze(1);
    const seen = this.kernel.B.shape[1] === 1 ? now : concat([state.window, now], 1);
    const y = seen.mul(taps).sum(1);
    return [gate ? y.mul(silu(gate)) : y, { window: seen.slice(1, 1) }];
  }

  initialState(batch: number): ShiftSSMState {
    checkSize('ShiftSSM', 'batch', batch);
    const { device, shape } = this.kernel.B;
    return { window: zeros([batch, shape[1] - 1, this.dModel], { device }) };
  }
}
