import { Module, parameter } from '@mamba-ts/nn';
import {
  Complex,
  longConv,
  ones,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  selectiveScan,
  silu,
  stateUpdate,
  type Tensor,
  tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkChoice, checkKeys, checkPositive, checkSize, checkTimeSteps } from './check-config';
import { type Discretization, discretizations, discretize } from './discretization';
import { s4dInits, type S4DInit, s4dModes } from './s4d-init';
import type { SequenceLayer, SequenceOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';
import { logTimeSteps, type TimeStepRange } from './time-step-init';
import { Vandermonde } from './vandermonde';

export interface S4DConfig extends TimeStepRange {
  /** Width H: one SSM a channel. */
  readonly dModel: number;
  /** Real states a channel, N: N/2 complex numbers (all N are real poles with init `real`). Default 64. */
  readonly dState?: number;
  /** Default `lin`. */
  readonly init?: S4DInit;
  /** Default `zoh`. */
  readonly discretization?: Discretization;
  /** Independent copies of A and B, a divisor of dModel; channel h has copy h mod nSsm. Default dModel. */
  readonly nSsm?: number;
  /** Largest initial B of init `legs`, null for HiPPO's own. Default 2, as the s4 repository. */
  readonly bClip?: number | null;
  /** Peak learning rate of Δ, A and B; null for the optimiser's. Default 0.001; they get no weight decay. */
  readonly learningRate?: number | null;
}

const settings: Readonly<Record<keyof S4DConfig, true>> = {
  dModel: true,
  dState: true,
  init: true,
  discretization: true,
  nSsm: true,
  bClip: true,
  learningRate: true,
  dtMin: true,
  dtMax: true,
};

export type S4DState = {
  /** (batch, dModel, modes, 2): one complex number a mode. */
  readonly ssm: Tensor;
};

/** Parameters of the diagonal SSMs; names, shapes and storage as in the s4 repository. */
export class S4DKernel extends Module {
  /** ln Δ: (dModel, 1) */
  readonly inv_dt: Variable;
  /** ln(−Re λ): (nSsm, modes) */
  readonly A_real: Variable;
  /** −Im λ: (nSsm, modes); null for init `real` */
  readonly A_imag: Variable | null;
  /** (1, nSsm, modes, 2); real, (1, nSsm, modes), for init `real` */
  readonly B: Variable;
  /** (1, dModel, modes, 2); real, (1, dModel, modes), for init `real` */
  readonly C: Variable;

  constructor(config: S4DConfig, random: RandomGenerator) {
    super();
    const { dModel, dState = 64, init = 'lin', nSsm = dModel, bClip = 2, learningRate = 0.001 } = config;
    const { device } = random.state;
    const modes = s4dModes(init, dState, bClip);
    const count = modes.re.length;
    const real = init === 'real';
    const slow = learningRate === null ? { weightDecay: false } : { learningRate, weightDecay: false };
    const copies = (values: Float64Array): Tensor => tensor(values, { device }).expand(nSsm, count);
    this.inv_dt = parameter(
      scope(() => logTimeSteps([dModel, 1], random, config)),
      slow,
    );
    this.A_real = parameter(
      scope(() => copies(modes.re.map((x) => Math.log(-x)))),
      slow,
    );
    this.A_imag = real
      ? null
      : parameter(
          scope(() => copies(modes.im)),
          slow,
        );
    this.B = parameter(
      scope(() => {
        const b = copies(modes.B).unsqueeze(0);
        return real ? b : new Complex(b, zeros([1, nSsm, count], { device })).toPairs();
      }),
      slow,
    );
    // Complex normal of variance 1: half of it in each part.
    this.C = parameter(
      real ? random.normal([1, dModel, count]) : random.normal([1, dModel, count, 2], 0, Math.SQRT1_2),
    );
  }

  /** The discrete SSMs of all channels, each (dModel, modes); y = Re Σ C x. */
  discrete(kind: Discretization): { logA: Complex; B: Complex; C: Complex } {
    const re = this.A_real.exp().neg();
    const lambda = this.perChannel(
      new Complex(re, this.A_imag ? this.A_imag.neg() : zeros(re.shape, { device: re.device })),
    );
    const { logA, inputScale } = discretize(lambda, this.inv_dt.exp(), kind);
    const B = this.perChannel(this.complex(this.B));
    // The conjugate half of the modes doubles the real part.
    return { logA, B: inputScale.mul(B), C: this.complex(this.C).scale(this.A_imag ? 2 : 1) };
  }

  /** (1, rows, modes[, 2]) → (rows, modes) */
  private complex(x: Tensor): Complex {
    const rows = x.squeeze(0);
    return this.A_imag ? Complex.fromPairs(rows) : new Complex(rows, zeros(rows.shape, { device: rows.device }));
  }

  /** (nSsm, modes) → (dModel, modes): channel h has copy h mod nSsm. */
  private perChannel(x: Complex): Complex {
    const [dModel] = this.inv_dt.shape;
    const [copies, modes] = x.re.shape;
    if (copies === dModel) return x;
    const repeat = (part: Tensor): Tensor =>
      part
        .unsqueeze(0)
        .expand(dModel / copies, copies, modes)
        .reshape(dModel, modes);
    return new Complex(repeat(x.re), repeat(x.im));
  }
}

/**
 * S4D, the diagonal state space layer (arXiv 2206.11893): each channel is convolved with K_l = Re Σ_n C_n B̄_n Ā_n^l
 * and gets its own skip D u.
 *
 * Training and prefill run as a convolution; with `resets` the same SSM runs as a scan, since a convolution cannot
 * forget. `step` is the recurrence. With fixed Δ, A, B, C it cannot select what to remember: S6 can.
 */
export class S4D extends Module implements SequenceLayer<S4DState> {
  readonly dModel: number;
  readonly constantState: boolean = true;
  readonly kernel: S4DKernel;
  /** (1, dModel) */
  readonly D: Variable;
  private readonly discretization: Discretization;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: S4DConfig, random: RandomGenerator) {
    super();
    const {
      dModel,
      dState = 64,
      init = 'lin',
      discretization = 'zoh',
      nSsm = dModel,
      dtMin = 0.001,
      dtMax = 0.1,
    } = config;
    checkKeys('S4D', config, settings);
    checkSize('S4D', 'dModel', dModel);
    checkSize('S4D', 'dState', dState);
    checkSize('S4D', 'nSsm', nSsm);
    checkChoice('S4D', 'init', init, s4dInits);
    checkChoice('S4D', 'discretization', discretization, discretizations);
    checkTimeSteps('S4D', dtMin, dtMax);
    if (config.bClip !== undefined && config.bClip !== null) checkPositive('S4D', 'bClip', config.bClip);
    if (dModel % nSsm !== 0)
      throw new OutOfRangeError(`S4D: nSsm is ${nSsm}, expected a divisor of dModel (${dModel})`);
    this.dModel = dModel;
    this.discretization = discretization;
    this.kernel = new S4DKernel(config, random);
    this.D = parameter(random.normal([1, dModel]));
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    checkInput('S4D', this, x, options);
    if (options.resets) return this.scan(x, undefined, options)[0];
    const { logA, B, C } = this.kernel.discrete(this.discretization);
    const powers = new Vandermonde(logA, x.shape[1]);
    return this.output(longConv(x, powers.kernel(C.mul(B))), x, options.gate);
  }

  prefill(x: Tensor, state?: S4DState, options: SequenceOptions = {}): [Tensor, S4DState] {
    checkInput('S4D', this, x, options, state);
    if (options.resets) return this.scan(x, state, options);
    const { logA, B, C } = this.kernel.discrete(this.discretization);
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

  step(x: Tensor, state: S4DState, options: Omit<SequenceOptions, 'resets'> = {}): [Tensor, S4DState] {
    checkStep('S4D', this, x, options, state);
    const { y, state: ssm } = stateUpdate(state.ssm, { u: x, ...this.recurrence(x), z: options.gate });
    return [y, { ssm }];
  }

  initialState(batch: number): S4DState {
    checkSize('S4D', 'batch', batch);
    return { ssm: zeros([batch, this.dModel, this.kernel.A_real.shape[1], 2], { device: this.D.device }) };
  }

  private output(y: Tensor, x: Tensor, gate?: Tensor): Tensor {
    const sum = y.add(x.mul(this.D.squeeze(0)));
    return gate ? sum.mul(silu(gate)) : sum;
  }

  private scan(x: Tensor, state: S4DState | undefined, { resets, gate }: SequenceOptions): [Tensor, S4DState] {
    const { y, lastState } = selectiveScan({ u: x, ...this.recurrence(x), z: gate, initialState: state?.ssm, resets });
    return [y, { ssm: lastState }];
  }

  /**
   * As operands of the scan, whose recurrence h = exp(delta A) h + delta B u, y = 2 Re Σ C h is ours with delta = 1, A
   * = log Ā, B = B̄.
   */
  private recurrence(x: Tensor): { delta: Tensor; A: Tensor; B: Tensor; C: Tensor; D: Tensor } {
    const { logA, B, C } = this.kernel.discrete(this.discretization);
    return {
      delta: ones(x.shape, { device: x.device }),
      A: logA.toPairs(),
      B: B.toPairs(),
      C: C.scale(0.5).toPairs(),
      D: this.D.squeeze(0),
    };
  }
}
