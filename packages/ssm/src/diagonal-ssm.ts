import { Module } from '@mamba-ts/nn';
import {
  Complex,
  longConv,
  ones,
  selectiveScan,
  silu,
  stateUpdate,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkSize } from './check-config';
import { refuseBothSides } from './refuse-both-sides';
import type { SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';
import { twoSidedConv } from './two-sided-convolution';
import { Vandermonde } from './vandermonde';

/** Diagonal SSMs x_t = Ā x_{t−1} + B̄ u_t, y = Re Σ C x, one a channel; all (dModel, modes). */
export interface DiscreteDiagonal {
  /** log Ā */
  readonly logA: Complex;
  /** B̄ */
  readonly B: Complex;
  /** Of the past and, in a bidirectional layer, of the future. */
  readonly C: readonly Complex[];
}

export type DiagonalState = {
  /** (batch, dModel, modes, 2): one complex number a mode. */
  readonly ssm: Tensor;
};

/**
 * What the diagonal layers share; they differ in their parameters. Each channel is convolved with K_l = Re Σ_n C_n B̄_n Ā_n^l
 * and gets its own skip D u.
 *
 * Training and prefill run as a convolution; with `resets` the same SSM runs as a scan, since a convolution cannot
 * forget. `step` is the recurrence.
 */
export abstract class DiagonalSSM extends Module implements SequenceLayer<DiagonalState> {
  abstract readonly dModel: number;
  readonly constantState: boolean = true;
  /** Of the layer, in errors. */
  protected abstract readonly label: string;
  /** Numbers of state a channel. */
  protected abstract get modes(): number;
  /** The SSMs as they are with the present parameters. */
  abstract discrete(): DiscreteDiagonal;
  /** Skip: (dModel), or (1, dModel) */
  abstract readonly D: Variable;

  /** K: (length, dModel), of the past and, in a bidirectional layer, of the future. */
  taps(length: number): Tensor[] {
    const { logA, B, C } = this.discrete();
    const powers = new Vandermonde(logA, length);
    return C.map((c) => powers.kernel(c.mul(B)));
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    checkInput(this.label, this, x, options);
    const [past, future] = this.taps(x.shape[1]);
    if (!future)
      return options.resets ? this.scan(x, undefined, options)[0] : this.output(longConv(x, past), x, options.gate);
    if (options.resets) refuseBothSides(this.label, 'resets');
    return this.output(twoSidedConv(x, past, future), x, options.gate);
  }

  prefill(x: Tensor, state?: DiagonalState, options: SequenceOptions = {}): [Tensor, DiagonalState] {
    checkInput(this.label, this, x, options, state);
    if (options.resets) return this.scan(x, state, options);
    const { logA, B, C } = this.causal();
    const powers = new Vandermonde(logA, x.shape[1]);
    let y = longConv(x, powers.kernel(C.mul(B)));
    // x_L = Ā^L x_0 + Σ_l Ā^{L−1−l} B̄ u_l
    let last = powers.correlate(x).mul(B.unsqueeze(0));
    if (state) {
      const initial = Complex.fromPairs(state.ssm);
      // One sample later the state has become Ā x_0: y_l = Re Σ C Ā^{l+1} x_0.
      y = y.add(powers.response(initial.mul(C.mul(logA.exp()).unsqueeze(0))));
      last = last.add(powers.decay(initial));
    }
    return [this.output(y, x, options.gate), { ssm: last.toPairs() }];
  }

  step(x: Tensor, state: DiagonalState, options: StepOptions = {}): [Tensor, DiagonalState] {
    checkStep(this.label, this, x, options, state);
    const { y, state: ssm } = stateUpdate(state.ssm, { u: x, ...this.recurrence(x), z: options.gate });
    return [y, { ssm }];
  }

  initialState(batch: number): DiagonalState {
    checkSize(this.label, 'batch', batch);
    return { ssm: zeros([batch, this.dModel, this.modes, 2], { device: this.D.device }) };
  }

  private causal(): { logA: Complex; B: Complex; C: Complex } {
    const { logA, B, C } = this.discrete();
    if (C.length > 1) refuseBothSides(this.label, 'a state');
    return { logA, B, C: C[0] };
  }

  private output(y: Tensor, x: Tensor, gate?: Tensor): Tensor {
    const sum = y.add(x.mul(this.D.reshape(this.dModel)));
    return gate ? sum.mul(silu(gate)) : sum;
  }

  private scan(x: Tensor, state: DiagonalState | undefined, options: SequenceOptions): [Tensor, DiagonalState] {
    const { y, lastState } = selectiveScan({
      u: x,
      ...this.recurrence(x),
      z: options.gate,
      initialState: state?.ssm,
      resets: options.resets,
    });
    return [y, { ssm: lastState }];
  }

  /**
   * The operands of the scan, whose recurrence h = exp(delta A) h + delta B u, y = 2 Re Σ C h is ours with delta = 1, A =
   * log Ā, B = B̄.
   */
  private recurrence(x: Tensor): Record<'delta' | 'A' | 'B' | 'C' | 'D', Tensor> {
    const { logA, B, C } = this.causal();
    const [A, input, output] = [logA, B, C.scale(0.5)].map((part) => part.toPairs().derived());
    return {
      delta: ones(x.shape, { device: x.device }),
      A,
      B: input,
      C: output,
      D: this.D.reshape(this.dModel),
    };
  }
}
