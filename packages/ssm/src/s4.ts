import { Module, parameter } from '@mamba-ts/nn';
import {
  Complex,
  full,
  longConv,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  silu,
  type Tensor,
  tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { type ChannelSsmConfig, channelSsmSettings, checkChannelSsm, ssmMetadata } from './channel-ssm-config';
import { checkKeys, checkSize } from './check-config';
import { DenseRecurrence } from './dense-recurrence';
import {
  complexOfRow,
  discretizeDplr,
  type DiscreteDplr,
  type DplrSystem,
  generatingFunction,
  realRow,
  realChange,
  realVector,
} from './dplr';
import { hippoLegSModes } from './hippo';
import { inverseRealDft } from './inverse-dft';
import { ofFirstSequence, ofLastSequence, packedConv } from './packed-convolution';
import { refuseBothSides } from './refuse-both-sides';
import type { SequenceLayer, SequenceOptions, StepOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';
import { perChannel } from './tied-copies';
import { logTimeSteps } from './time-step-init';
import { twoSidedConv } from './two-sided-convolution';

export interface S4Config extends ChannelSsmConfig {
  /**
   * Null: C itself is learned. A length: C̃ = C (I − Ā^length) is learned in its place, as in the s4 repository (its
   * `l_kernel`). Kernels of up to that length then cost no powers of Ā; longer ones double it until they fit; C is
   * recovered for steps. The function is the same, what gradient descent does is not. Default null.
   */
  readonly kernelLength?: number | null;
  /** Convolves with the future too, by a C of its own; there are no steps then. Default false. */
  readonly bidirectional?: boolean;
}

const settings: Readonly<Record<keyof S4Config, true>> = {
  ...channelSsmSettings,
  kernelLength: true,
  bidirectional: true,
};

export type S4State = {
  /** (batch, dModel, dState / 2, 2): one complex number of each conjugate pair. */
  readonly ssm: Tensor;
};

/** Parameters of the SSMs; names, shapes and storage as in the s4 repository. */
export class S4Kernel extends Module {
  /** ln Δ: (dModel, 1) */
  readonly inv_dt: Variable;
  /** ln(−Re Λ): (nSsm, dState / 2) */
  readonly A_real: Variable;
  /** −Im Λ: (nSsm, dState / 2) */
  readonly A_imag: Variable;
  /** (1, nSsm, dState / 2, 2) */
  readonly B: Variable;
  /** A = Λ − P P*: (1, nSsm, dState / 2, 2) */
  readonly P: Variable;
  /** (1, dModel, dState / 2, 2), or 2 of them, the second of the future: C, or C̃ with a `kernelLength`. */
  readonly C: Variable;
  /** int32: `kernelLength`, 0 for null. Not trained; the checkpoint's must be that of the config. */
  readonly l_kernel: Variable;

  constructor(
    config: S4Config,
    /** The length that C̃ is bound to, null where C is learned. */
    private readonly kernelLength: number | null,
    random: RandomGenerator,
  ) {
    super();
    const { dModel, dState = 64, nSsm = dModel, bClip = 2, bidirectional = false } = config;
    const { device } = random.state;
    const { omega, absB, absP } = hippoLegSModes(dState);
    const slow = ssmMetadata(config);
    const count = dState / 2;
    const copies = (values: Float64Array): Tensor => tensor(values, { device }).expand(nSsm, count);
    // Phases of an eigenbasis are arbitrary, and absorbed by C, whose distribution has none: B and P start real.
    const real = (values: Float64Array): Tensor => copies(values).reshape(1, nSsm, count, 1).pad(3, 0, 1);
    const start = (make: () => Tensor): Variable => parameter(scope(make), slow);
    this.inv_dt = start(() => logTimeSteps([dModel, 1], random, config));
    this.A_real = parameter(full([nSsm, count], Math.log(0.5), { device }), slow);
    this.A_imag = start(() => copies(omega));
    this.B = start(() => real(bClip === null ? absB : absB.map((b) => Math.min(b, bClip))));
    this.P = start(() => real(absP));
    // Complex normal of variance 1: half of it in each part.
    this.C = parameter(random.normal([bidirectional ? 2 : 1, dModel, count, 2], 0, Math.SQRT1_2));
    this.l_kernel = parameter(full([], kernelLength ?? 0, { device, dtype: 'int32' }), { trainable: false });
    if (kernelLength !== null) this.C.assign(scope(() => this.truncate(kernelLength)));
  }

  /** The continuous SSMs of all channels. */
  system(): DplrSystem {
    const [dModel] = this.inv_dt.shape;
    const pairs = (x: Tensor): Complex => perChannel(Complex.fromPairs(x.squeeze(0)), dModel);
    const lambda = perChannel(new Complex(this.A_real.exp().neg(), this.A_imag.neg()), dModel);
    return { lambda, B: pairs(this.B), P: pairs(this.P), dt: this.inv_dt.exp() };
  }

  /** C as real rows, (dModel, outputs, dState); where C̃ is learned, recovered from it. */
  outputRows(recurrence: DenseRecurrence): Tensor {
    const rows = realRow(Complex.fromPairs(this.C)).transpose(0, 1);
    return this.kernelLength === null ? rows : recurrence.rowsOverComplement(rows, this.kernelLength);
  }

  /** K̂, the transform of the first n samples of each kernel: (outputs, dModel, ⌊n/2⌋ + 1). */
  transform(n: number, system: DplrSystem, recurrence: DenseRecurrence): Complex {
    return generatingFunction(system, this.truncated(n, recurrence), n);
  }

  /** K: (length, dModel), of the past and, in a bidirectional layer, of the future. */
  taps(length: number, system: DplrSystem, recurrence: DenseRecurrence): Tensor[] {
    const [outputs, dModel] = this.C.shape;
    const n = this.transformLength(length);
    const spectrum = this.transform(n, system, recurrence).reshape(outputs * dModel, -1);
    const kernels = inverseRealDft(spectrum, n).reshape(outputs, dModel, n);
    return Array.from({ length: outputs }, (_, side) =>
      kernels
        .slice(0, side, side + 1)
        .squeeze(0)
        .transpose()
        .slice(0, 0, length),
    );
  }

  /** C̃ = C (I − Ā^n): (outputs, dModel, dState / 2) */
  truncated(n: number, recurrence: DenseRecurrence): Complex {
    const learned = Complex.fromPairs(this.C);
    if (this.kernelLength === null || n % this.kernelLength !== 0) {
      const rows = this.outputRows(recurrence);
      return complexOfRow(recurrence.rowsTimesComplement(rows, n).transpose(0, 1));
    }
    // C̃ of twice the length is C̃ (I + Ā^length).
    let rows = realRow(learned).transpose(0, 1);
    let reached = this.kernelLength;
    for (; reached < n; reached *= 2) rows = recurrence.rowsTimesSum(rows, reached);
    return reached === this.kernelLength ? learned : complexOfRow(rows.transpose(0, 1));
  }

  /** A length to transform: what C̃ is bound to, doubled as needed; without it, one that is cheap. */
  private transformLength(length: number): number {
    if (this.kernelLength !== null)
      return this.kernelLength * 2 ** Math.max(0, Math.ceil(Math.log2(length / this.kernelLength)));
    const factor = 2 ** Math.ceil(Math.log2(length) / 2);
    return factor * Math.ceil(length / factor);
  }

  private truncate(length: number): Tensor {
    const rows = realRow(Complex.fromPairs(this.C)).transpose(0, 1);
    const recurrence = new DenseRecurrence(realChange(discretizeDplr(this.system())));
    return complexOfRow(recurrence.rowsTimesComplement(rows, length).transpose(0, 1)).toPairs();
  }
}

/**
 * S4, the structured state space layer (arXiv 2111.00396) with diagonal plus low-rank A, from HiPPO-LegS, discretised by the
 * bilinear rule: each channel is convolved with K_l = C Ā^l B̄ and gets its own skip D u.
 *
 * Training runs as a convolution, whose kernel comes from its generating function at the roots of unity; packed sequences as
 * one such convolution a scale; `step` is the recurrence in O(dState).
 */
export class S4 extends Module implements SequenceLayer<S4State> {
  readonly dModel: number;
  readonly constantState: boolean = true;
  readonly kernel: S4Kernel;
  /** (1, dModel) */
  readonly D: Variable;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: S4Config, random: RandomGenerator) {
    super();
    checkKeys('S4', config, settings);
    const { dModel, dState = 64, kernelLength = null } = config;
    checkChannelSsm('S4', config);
    if (kernelLength !== null) checkSize('S4', 'kernelLength', kernelLength);
    if (dState % 2 !== 0)
      throw new OutOfRangeError(
        `S4: dState is ${dState}, expected an even number (it counts real states, two for each complex one)`,
      );
    this.dModel = dModel;
    this.kernel = new S4Kernel(config, kernelLength, random);
    this.D = parameter(random.normal([1, dModel]));
  }

  /** K: (length, dModel), of the past and, in a bidirectional layer, of the future. */
  taps(length: number): Tensor[] {
    const { system, recurrence } = this.discrete();
    return this.kernel.taps(length, system, recurrence);
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    checkInput('S4', this, x, options);
    const [past, future] = this.taps(x.shape[1]);
    if (future && options.resets) refuseBothSides('S4', 'resets');
    if (future) return this.output(twoSidedConv(x, past, future), x, options.gate);
    return this.output(options.resets ? packedConv(x, past, options.resets) : longConv(x, past), x, options.gate);
  }

  prefill(x: Tensor, state?: S4State, { resets, gate }: SequenceOptions = {}): [Tensor, S4State] {
    checkInput('S4', this, x, { resets, gate }, state);
    this.checkCausal();
    const [batch, length] = x.shape;
    const { system, recurrence, step } = this.discrete();
    const [taps] = this.kernel.taps(length, system, recurrence);
    let y = resets ? packedConv(x, taps, resets) : longConv(x, taps);
    const counted = resets ? x.mul(ofLastSequence(resets).unsqueeze(2)) : x;
    let initial = state?.ssm.reshape(batch, this.dModel, -1);
    if (initial) {
      const left = recurrence.response(this.kernel.outputRows(recurrence).squeeze(1), initial, length);
      const reached = resets && ofFirstSequence(resets).unsqueeze(2);
      y = y.add(reached ? left.mul(reached) : left);
      if (reached) initial = initial.mul(reached.slice(1, -1));
    }
    const last = recurrence.stateAfter(realVector(step.input), counted, initial);
    return [this.output(y, x, gate), { ssm: last.reshape(batch, this.dModel, -1, 2) }];
  }

  step(x: Tensor, state: S4State, options: StepOptions = {}): [Tensor, S4State] {
    checkStep('S4', this, x, options, state);
    const { change, outer, inner, input, output } = this.stepOperands();
    const before = Complex.fromPairs(state.ssm);
    const s = inner.mul(before).re.sum(2, true).mul(2);
    const after = before
      .add(change.mul(before))
      .sub(outer.scale(s))
      .add(input.scale(x.unsqueeze(2)));
    const y = output.mul(after).re.sum(2).mul(2);
    return [this.output(y, x, options.gate), { ssm: after.toPairs() }];
  }

  initialState(batch: number): S4State {
    checkSize('S4', 'batch', batch);
    return { ssm: zeros([batch, this.dModel, this.kernel.A_imag.shape[1], 2], { device: this.D.device }) };
  }

  /** The SSMs as they are with the present parameters: continuous, as a step in O(dState), and as dense matrices. */
  discrete(): { system: DplrSystem; step: DiscreteDplr; recurrence: DenseRecurrence } {
    const system = this.kernel.system();
    const step = discretizeDplr(system);
    return { system, step, recurrence: new DenseRecurrence(realChange(step)) };
  }

  /** The discrete SSM in O(dState) form, and C. */
  private stepOperands(): Record<keyof DiscreteDplr | 'output', Complex> {
    this.checkCausal();
    const { step, recurrence } = this.discrete();
    const output = complexOfRow(this.kernel.outputRows(recurrence).squeeze(1));
    const kept = ({ re, im }: Complex): Complex => new Complex(re.derived(), im.derived());
    const [change, outer, inner, input] = [step.change, step.outer, step.inner, step.input].map(kept);
    return { change, outer, inner, input, output: kept(output) };
  }

  private checkCausal(): void {
    if (this.kernel.C.shape[0] > 1) refuseBothSides('S4', 'a state');
  }

  private output(y: Tensor, x: Tensor, gate?: Tensor): Tensor {
    const sum = y.add(x.mul(this.D.squeeze(0)));
    return gate ? sum.mul(silu(gate)) : sum;
  }
}
