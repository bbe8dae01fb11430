import { Module, parameter } from '@mamba-ts/nn';
import {
  Complex,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  type Tensor,
  tensor,
  type Variable,
} from '@mamba-ts/tensor';
import { checkChoice, checkKeys, checkPositive, checkSize, checkTimeSteps } from './check-config';
import { DiagonalSSM, type DiscreteDiagonal } from './diagonal-ssm';
import { type Discretization, discretizations, discretize } from './discretization';
import { type S4DInit, s4dModes } from './s4d-init';
import { perChannel } from './tied-copies';
import { logTimeSteps, type TimeStepRange } from './time-step-init';

export interface H3SSMConfig extends TimeStepRange {
  /** Width H: one SSM a channel. */
  readonly dModel: number;
  /** Real states a channel, N: N/2 complex numbers. Default 64. */
  readonly dState?: number;
  /** Default `lin`. */
  readonly init?: Exclude<S4DInit, 'real'>;
  /** Default `bilinear`. */
  readonly discretization?: Discretization;
  /** Independent copies of A and B, a divisor of dModel; channel h has copy h mod nSsm. Default dModel. */
  readonly nSsm?: number;
  /** Largest initial B of init `legs`, null for HiPPO's own. Default 2. */
  readonly bClip?: number | null;
  /** Peak learning rate of Δ, A and B; null for the optimiser's. Default 0.001; they get no weight decay. */
  readonly learningRate?: number | null;
}

const settings: Readonly<Record<keyof H3SSMConfig, true>> = {
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

/** Parameters of the diagonal SSM, as in the H3 repository. */
export class H3Kernel extends Module {
  /** ln Δ: (dModel) */
  readonly log_dt: Variable;
  /** ln(−Re λ): (nSsm, dState / 2) */
  readonly inv_A_real: Variable;
  /** Im λ: (nSsm, dState / 2) */
  readonly A_imag: Variable;
  /** (nSsm, dState / 2, 2) */
  readonly B: Variable;
  /** (1, dModel, dState / 2, 2) */
  readonly C: Variable;

  constructor(config: H3SSMConfig, random: RandomGenerator) {
    super();
    const { dModel, dState = 64, init = 'lin', nSsm = dModel, bClip = 2, learningRate = 0.001 } = config;
    const { device } = random.state;
    const { re, im, B } = s4dModes(init, dState, bClip);
    const count = dState / 2;
    const slow = learningRate === null ? { weightDecay: false } : { learningRate, weightDecay: false };
    const copies = (values: Float64Array): Tensor => tensor(values, { device }).expand(nSsm, count);
    const start = (make: () => Tensor): Variable => parameter(scope(make), slow);
    this.log_dt = start(() => logTimeSteps([dModel], random, config));
    this.inv_A_real = start(() => copies(re.map((x) => Math.log(-x))));
    this.A_imag = start(() => copies(im));
    this.B = start(() => copies(B).unsqueeze(2).pad(2, 0, 1));
    // Complex normal of variance 1: half of it in each part.
    this.C = parameter(random.normal([1, dModel, count, 2], 0, Math.SQRT1_2));
  }

  discrete(kind: Discretization): DiscreteDiagonal {
    const [dModel] = this.log_dt.shape;
    const lambda = perChannel(new Complex(this.inv_A_real.exp().neg(), this.A_imag), dModel);
    const { logA, inputScale } = discretize(lambda, this.log_dt.exp().unsqueeze(1), kind);
    const B = inputScale.mul(perChannel(Complex.fromPairs(this.B), dModel));
    return { logA, B, C: [Complex.fromPairs(this.C.squeeze(0)).scale(2)] };
  }
}

/**
 * The diagonal SSM of H3 (arXiv 2212.14052, §3.1), what runs over keys times values: S4D with other names, by default S4D-Lin
 * and the bilinear rule.
 */
export class H3SSM extends DiagonalSSM {
  readonly dModel: number;
  protected readonly label: string = 'H3SSM';
  /** `kernel.kernel.…` in checkpoints. */
  readonly kernel: H3KernelHolder;
  /** (dModel) */
  readonly D: Variable;
  private readonly discretization: Discretization;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: H3SSMConfig, random: RandomGenerator) {
    super();
    checkKeys('H3SSM', config, settings);
    const { dModel, dState = 64, init = 'lin', discretization = 'bilinear', nSsm = dModel, bClip = 2 } = config;
    checkSize('H3SSM', 'dModel', dModel);
    checkSize('H3SSM', 'dState', dState);
    checkSize('H3SSM', 'nSsm', nSsm);
    checkChoice('H3SSM', 'init', init, ['lin', 'inv', 'quad', 'legs']);
    checkChoice('H3SSM', 'discretization', discretization, discretizations);
    checkTimeSteps('H3SSM', config.dtMin ?? 0.001, config.dtMax ?? 0.1);
    if (bClip !== null) checkPositive('H3SSM', 'bClip', bClip);
    if (dModel % nSsm !== 0)
      throw new OutOfRangeError(`H3SSM: nSsm is ${nSsm}, expected a divisor of dModel (${dModel})`);
    this.dModel = dModel;
    this.discretization = discretization;
    this.kernel = new H3KernelHolder(config, random);
    this.D = parameter(random.normal([dModel]));
  }

  discrete(): DiscreteDiagonal {
    return this.kernel.kernel.discrete(this.discretization);
  }

  protected get modes(): number {
    return this.kernel.kernel.A_imag.shape[1];
  }
}

/** One level of the checkpoint's paths. */
export class H3KernelHolder extends Module {
  readonly kernel: H3Kernel;

  constructor(config: H3SSMConfig, random: RandomGenerator) {
    super();
    this.kernel = new H3Kernel(config, random);
  }
}
