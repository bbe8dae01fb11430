import { Module, parameter } from '@mamba-ts/nn';
import { Complex, type RandomGenerator, scope, type Tensor, tensor, type Variable, zeros } from '@mamba-ts/tensor';
import { type ChannelSsmConfig, channelSsmSettings, checkChannelSsm, ssmMetadata } from './channel-ssm-config';
import { checkChoice, checkKeys } from './check-config';
import { type DiagonalState, DiagonalSSM, type DiscreteDiagonal } from './diagonal-ssm';
import { type Discretization, discretizations, discretize } from './discretization';
import { s4dInits, type S4DInit, s4dModes } from './s4d-init';
import { perChannel } from './tied-copies';
import { logTimeSteps } from './time-step-init';

export interface S4DConfig extends ChannelSsmConfig {
  /** Default `lin`. */
  readonly init?: S4DInit;
  /** Default `zoh`. */
  readonly discretization?: Discretization;
  /** Convolves with the future too, by a C of its own; there are no steps then. Default false. */
  readonly bidirectional?: boolean;
}

const settings: Readonly<Record<keyof S4DConfig, true>> = {
  ...channelSsmSettings,
  init: true,
  discretization: true,
  bidirectional: true,
};

export type S4DState = DiagonalState;

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
  /** (1, dModel, modes, 2), or 2 of them, the second of the future; real, without the last axis, for init `real` */
  readonly C: Variable;

  constructor(config: S4DConfig, random: RandomGenerator) {
    super();
    const { dModel, dState = 64, init = 'lin', nSsm = dModel, bClip = 2, bidirectional = false } = config;
    const { device } = random.state;
    const modes = s4dModes(init, dState, bClip);
    const count = modes.re.length;
    const real = init === 'real';
    const slow = ssmMetadata(config);
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
    const sides = bidirectional ? 2 : 1;
    this.C = parameter(
      real ? random.normal([sides, dModel, count]) : random.normal([sides, dModel, count, 2], 0, Math.SQRT1_2),
    );
  }

  /** The discrete SSMs of all channels. */
  discrete(kind: Discretization): DiscreteDiagonal {
    const re = this.A_real.exp().neg();
    const [dModel] = this.inv_dt.shape;
    const poles = new Complex(re, this.A_imag ? this.A_imag.neg() : zeros(re.shape, { device: re.device }));
    const lambda = perChannel(poles, dModel);
    const { logA, inputScale } = discretize(lambda, this.inv_dt.exp(), kind);
    const B = perChannel(this.complex(this.B), dModel);
    const C = Array.from({ length: this.C.shape[0] }, (_, side) => this.complex(this.C.slice(0, side, side + 1)));
    // The conjugate half of the modes doubles the real part.
    return { logA, B: inputScale.mul(B), C: C.map((c) => c.scale(this.A_imag ? 2 : 1)) };
  }

  /** (1, rows, modes[, 2]) → (rows, modes) */
  private complex(x: Tensor): Complex {
    const rows = x.squeeze(0);
    return this.A_imag ? Complex.fromPairs(rows) : new Complex(rows, zeros(rows.shape, { device: rows.device }));
  }
}

/**
 * S4D, the diagonal state space layer (arXiv 2206.11893). With fixed Δ, A, B, C it cannot select what to remember: S6
 * can.
 */
export class S4D extends DiagonalSSM {
  readonly dModel: number;
  protected readonly label: string = 'S4D';
  readonly kernel: S4DKernel;
  /** (1, dModel) */
  readonly D: Variable;
  private readonly discretization: Discretization;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: S4DConfig, random: RandomGenerator) {
    super();
    const { dModel, init = 'lin', discretization = 'zoh' } = config;
    checkKeys('S4D', config, settings);
    checkChannelSsm('S4D', config);
    checkChoice('S4D', 'init', init, s4dInits);
    checkChoice('S4D', 'discretization', discretization, discretizations);
    this.dModel = dModel;
    this.discretization = discretization;
    this.kernel = new S4DKernel(config, random);
    this.D = parameter(random.normal([1, dModel]));
  }

  discrete(): DiscreteDiagonal {
    return this.kernel.discrete(this.discretization);
  }

  protected get modes(): number {
    return this.kernel.A_real.shape[1];
  }
}
