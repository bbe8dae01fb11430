import { Module, parameter } from '@mamba-ts/nn';
import { Complex, type RandomGenerator, scope, type Tensor, tensor, type Variable } from '@mamba-ts/tensor';
import { type ChannelSsmConfig, channelSsmSettings, checkChannelSsm, ssmMetadata } from './channel-ssm-config';
import { checkChoice, checkKeys } from './check-config';
import { DiagonalSSM, type DiscreteDiagonal } from './diagonal-ssm';
import { type Discretization, discretizations, discretize } from './discretization';
import { type S4DInit, s4dModes } from './s4d-init';
import { perChannel } from './tied-copies';
import { logTimeSteps } from './time-step-init';

export interface H3SSMConfig extends ChannelSsmConfig {
  /** Default `lin`. */
  readonly init?: Exclude<S4DInit, 'real'>;
  /** Default `bilinear`. */
  readonly discretization?: Discretization;
}

const settings: Readonly<Record<keyof H3SSMConfig, true>> = { ...channelSsmSettings, init: true, discretization: true };

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
    const { dModel, dState = 64, init = 'lin', nSsm = dModel, bClip = 2 } = config;
    const { device } = random.state;
    const { re, im, B } = s4dModes(init, dState, bClip);
    const count = dState / 2;
    const slow = ssmMetadata(config);
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
    const { dModel, init = 'lin', discretization = 'bilinear' } = config;
    checkChannelSsm('H3SSM', config);
    checkChoice('H3SSM', 'init', init, ['lin', 'inv', 'quad', 'legs']);
    checkChoice('H3SSM', 'discretization', discretization, discretizations);
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
