import { Linear, Module, parameter, project } from '@mamba-ts/nn';
import {
  Complex,
  full,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  selectiveScan,
  stateUpdate,
  type Tensor,
  tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkChoice, checkKeys, checkPositive, checkSize, checkTimeSteps } from './check-config';
import { s4dModes } from './s4d-init';
import type { SequenceLayer, SequenceOptions } from './sequence-layer';
import { checkInput, checkStep } from './sequence-layer-checks';
import { inverseSoftplus, logTimeSteps, type TimeStepRange } from './time-step-init';

/**
 * Initial A (Mamba, Table 8): −(n+1), −½, −exp(N(0, 1)), or complex: −½ + iπn as S4D defines Lin and all code has it, or −½ + in as
 * the table writes it.
 */
export type S6Init = 's4d-real' | 'minus-half' | 'random' | 's4d-lin' | 'minus-half-plus-ni';
export const s6Inits: readonly S6Init[] = ['s4d-real', 'minus-half', 'random', 's4d-lin', 'minus-half-plus-ni'];

const complexInits: readonly S6Init[] = ['s4d-lin', 'minus-half-plus-ni'];

export interface S6Config extends TimeStepRange {
  /** Width of this layer: dInner of a Mamba block. */
  readonly dModel: number;
  /** Real numbers of state a channel, N: with the complex init N/2 complex ones. Default 16. */
  readonly dState?: number;
  /** Rank of the projection that Δ comes from; 0: Δ does not depend on the input. Default `auto`: ⌈dModel / 16⌉. */
  readonly dtRank?: number | 'auto';
  /** Which of Δ, B, C depend on the input (Mamba, Table 7). Default: all. */
  readonly selective?: { readonly delta?: boolean; readonly B?: boolean; readonly C?: boolean };
  /**
   * How B and C start where they are not selective, which is not published: `s4d`, B = 1 and C normal of variance 1; `linear`, both
   * U(±1/√dModel), the scale of the projection that they replace. Default `s4d`.
   */
  readonly constantInit?: 's4d' | 'linear';
  /** Default `s4d-real`. */
  readonly aInit?: S6Init;
  /**
   * B̄ = ΔB (`euler`, what all released models do; default), or the paper's eq. 4 (`zoh`), which costs (batch, length,
   * dModel, dState) memory.
   */
  readonly discretization?: 'euler' | 'zoh';
  /** Smallest initial Δ. Default 1e-4. */
  readonly dtInitFloor?: number;
  /** Initial weight of the Δ projection: U(±s) or the constant s, s = dtScale / √dtRank. Defaults `random`, 1. */
  readonly dtInit?: 'random' | 'constant';
  readonly dtScale?: number;
}

export type S6State = {
  /** (batch, dModel, dState), or, complex, (batch, dModel, dState / 2, 2) */
  readonly ssm: Tensor;
};

/** Δ = softplus(W δ + bias); bias and softplus are applied by the scan. */
export class TimeStepProjection extends Module {
  /** (dModel, dtRank); null where Δ does not depend on the input */
  readonly weight: Variable | null;
  /** softplus⁻¹ of the initial Δ: (dModel) */
  readonly bias: Variable;

  constructor(config: S6Config, dtRank: number, random: RandomGenerator) {
    super();
    const { dModel, dtInit = 'random', dtScale = 1, dtInitFloor = 1e-4 } = config;
    const bound = dtScale / Math.sqrt(dtRank);
    const { device } = random.state;
    this.weight =
      dtRank === 0
        ? null
        : parameter(
            dtInit === 'random'
              ? random.uniform([dModel, dtRank], -bound, bound)
              : full([dModel, dtRank], bound, { device }),
            { halfPrecision: true },
          );
    this.bias = parameter(
      scope(() => inverseSoftplus(logTimeSteps([dModel], random, config).exp().maximum(dtInitFloor))),
      { weightDecay: false },
    );
  }

  /** (…, dtRank) → (…, dModel), without the bias */
  forward(low: Tensor): Tensor {
    return project(low, this.weight as Variable);
  }
}

/** What the scan needs of one input. */
interface Operands {
  readonly u: Tensor;
  readonly delta: Tensor;
  readonly deltaBias?: Tensor;
  readonly deltaSoftplus: boolean;
  readonly A: Tensor;
  readonly B: Tensor;
  readonly C: Tensor;
  readonly D: Tensor;
}

/**
 * S6, the selective state space layer of Mamba (arXiv 2312.00752, algorithm 2): Δ, B and C depend on the input, so that
 * the state can keep one token and forget another: h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t, y_t = C_t h_t + D u_t.
 * Without any selection it is a convolution, as S4D.
 *
 * Parameters are named as in the released checkpoints (`x_proj.weight` has rows [Δ, B, C]).
 */
export class S6 extends Module implements SequenceLayer<S6State> {
  readonly dModel: number;
  readonly constantState: boolean = true;
  /** (rows, dModel): rows of δ (dtRank), B and C (dState each), those that are selective; null if none is */
  readonly x_proj: Linear | null;
  readonly dt_proj: TimeStepProjection;
  /** ln(−Re A): (dModel, modes) */
  readonly A_log: Variable;
  /** Im A: (dModel, modes); null where A is real */
  readonly A_imag: Variable | null;
  /** Skip: (dModel) */
  readonly D: Variable;
  /** Where they are not selective: (dModel, modes), or, complex, (dModel, modes, 2) */
  readonly B: Variable | null;
  readonly C: Variable | null;
  private readonly dtRank: number;
  /** States a channel; complex ones count once. */
  private readonly modes: number;
  private readonly discretization: 'euler' | 'zoh';

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: S6Config, random: RandomGenerator) {
    super();
    checkConfig(config);
    const { dModel, dState = 16, aInit = 's4d-real', selective = {}, discretization = 'euler' } = config;
    const complex = complexInits.includes(aInit);
    const rank = config.dtRank ?? 'auto';
    this.dModel = dModel;
    this.discretization = discretization;
    this.modes = complex ? dState / 2 : dState;
    this.dtRank = selective.delta === false ? 0 : rank === 'auto' ? Math.ceil(dModel / 16) : rank;
    const rows = this.dtRank + (selective.B === false ? 0 : dState) + (selective.C === false ? 0 : dState);
    this.x_proj = rows === 0 ? null : new Linear(dModel, rows, random, { bias: false });
    this.dt_proj = new TimeStepProjection(config, this.dtRank, random);
    const { device } = random.state;
    const shape = [dModel, this.modes];
    const constants = { weightDecay: false };
    this.A_log = parameter(
      scope(() => initialLogA(aInit, shape, random)),
      constants,
    );
    this.A_imag = complex
      ? parameter(
          scope(() => tensor(imaginaryParts(aInit, dState), { device }).expand(...shape)),
          constants,
        )
      : null;
    this.D = parameter(full([dModel], 1, { device }), constants);
    const { constantInit = 's4d' } = config;
    const constantShape = complex ? [...shape, 2] : shape;
    const bound = 1 / Math.sqrt(dModel);
    const linear = (): Tensor => random.uniform(constantShape, -bound, bound);
    const one = (): Tensor => scope(() => this.constantOne(shape, complex, random));
    const normal = (): Tensor => random.normal(constantShape, 0, complex ? Math.SQRT1_2 : 1);
    this.B = selective.B === false ? parameter(constantInit === 's4d' ? one() : linear()) : null;
    this.C = selective.C === false ? parameter(constantInit === 's4d' ? normal() : linear()) : null;
  }

  forward(x: Tensor, options: SequenceOptions = {}): Tensor {
    return this.prefill(x, undefined, options)[0];
  }

  prefill(x: Tensor, state?: S6State, options: SequenceOptions = {}): [Tensor, S6State] {
    checkInput('S6', this, x, options, state);
    const { y, lastState } = selectiveScan({
      ...this.operands(x),
      z: options.gate,
      initialState: state?.ssm,
      resets: options.resets,
    });
    return [y, { ssm: lastState }];
  }

  step(x: Tensor, state: S6State, options: Omit<SequenceOptions, 'resets'> = {}): [Tensor, S6State] {
    checkStep('S6', this, x, options, state);
    const { y, state: ssm } = stateUpdate(state.ssm, { ...this.operands(x), z: options.gate });
    return [y, { ssm }];
  }

  initialState(batch: number): S6State {
    checkSize('S6', 'batch', batch);
    return { ssm: zeros([batch, this.dModel, this.modes, ...(this.A_imag ? [2] : [])], { device: this.D.device }) };
  }

  /** Δ, B, C of an input (…, dModel): one product for all that is selective. */
  private operands(u: Tensor): Operands {
    const { dtRank, modes } = this;
    const lead = u.shape.slice(0, -1);
    const pair = this.A_imag ? [2] : [];
    const width = modes * (this.A_imag ? 2 : 1);
    const projected = this.x_proj?.forward(u);
    let at = dtRank;
    const next = (): Tensor => {
      const part = (projected as Tensor).slice(-1, at, at + width).reshape(...lead, 1, modes, ...pair);
      at += width;
      return part;
    };
    const delta =
      dtRank > 0
        ? this.dt_proj.forward((projected as Tensor).slice(-1, 0, dtRank))
        : zeros(u.shape, { device: u.device });
    const B = this.B ?? next();
    const C = this.C ?? next();
    const re = this.A_log.exp().neg();
    const A = (this.A_imag ? new Complex(re, this.A_imag).toPairs() : re).derived();
    const euler: Operands = { u, delta, deltaBias: this.dt_proj.bias, deltaSoftplus: true, A, B, C, D: this.D };
    return this.discretization === 'euler' ? euler : this.zeroOrderHold(euler);
  }

  /**
   * Mamba, eq. 4: B̄ = (ΔA)^{−1}(exp(ΔA) − 1) ΔB. The scan multiplies by Δ, so B becomes (e^{ΔA} − 1)/(ΔA) B, which
   * differs from channel to channel: as many groups as channels.
   */
  private zeroOrderHold(euler: Operands): Operands {
    const { dModel, modes } = this;
    const lead = euler.u.shape.slice(0, -1);
    const delta = euler.delta.add(this.dt_proj.bias).softplus();
    // As Δ goes to 0 the quotient goes to 1; the bound keeps it from being 0/0.
    const dt = delta.maximum(1e-12).unsqueeze(-1);
    const perChannel = (x: Tensor, own: Variable | null): Tensor =>
      own ? x : x.expand(...lead, dModel, ...x.shape.slice(lead.length + 1));
    const C = perChannel(euler.C, this.C);
    if (!this.A_imag) {
      const z = euler.A.mul(dt);
      return { ...euler, delta, deltaBias: undefined, deltaSoftplus: false, B: z.expm1().div(z).mul(euler.B), C };
    }
    const z = Complex.fromPairs(euler.A).scale(dt);
    const B = z.expm1().div(z).mul(Complex.fromPairs(euler.B));
    return {
      ...euler,
      delta,
      deltaBias: undefined,
      deltaSoftplus: false,
      B: B.toPairs().reshape(...lead, dModel, modes, 2),
      C,
    };
  }

  private constantOne(shape: readonly number[], complex: boolean, random: RandomGenerator): Tensor {
    const { device } = random.state;
    const one = full(shape, 1, { device });
    return complex ? new Complex(one, zeros(shape, { device })).toPairs() : one;
  }
}

function imaginaryParts(init: S6Init, dState: number): Float64Array {
  const { im } = s4dModes('lin', dState);
  return init === 's4d-lin' ? im : im.map((_, n) => n);
}

/** (dModel, modes) */
function initialLogA(init: S6Init, shape: readonly number[], random: RandomGenerator): Tensor {
  const { device } = random.state;
  switch (init) {
    case 's4d-real':
      return tensor(
        Float64Array.from({ length: shape[1] }, (_, n) => Math.log(n + 1)),
        { device },
      ).expand(...shape);
    case 'random':
      return random.normal(shape);
    default:
      return full(shape, Math.log(0.5), { device });
  }
}

const settings: Readonly<Record<keyof S6Config, true>> = {
  dModel: true,
  dState: true,
  dtRank: true,
  selective: true,
  constantInit: true,
  aInit: true,
  discretization: true,
  dtMin: true,
  dtMax: true,
  dtInitFloor: true,
  dtInit: true,
  dtScale: true,
};

function checkConfig(config: S6Config): void {
  checkKeys('S6', config, settings);
  checkKeys('S6: selective', config.selective ?? {}, { delta: true, B: true, C: true });
  const {
    dModel,
    dState = 16,
    dtRank = 'auto',
    aInit = 's4d-real',
    discretization = 'euler',
    dtInit = 'random',
  } = config;
  checkSize('S6', 'dModel', dModel);
  // 256 states are the most that the scan has, complex ones counted once.
  checkSize('S6', 'dState', dState, 1, aInit === 's4d-lin' ? 512 : 256);
  if (dtRank !== 'auto') checkSize('S6', 'dtRank', dtRank, 0);
  checkChoice('S6', 'aInit', aInit, s6Inits);
  checkChoice('S6', 'constantInit', config.constantInit ?? 's4d', ['s4d', 'linear']);
  checkChoice('S6', 'discretization', discretization, ['euler', 'zoh']);
  checkChoice('S6', 'dtInit', dtInit, ['random', 'constant']);
  checkTimeSteps('S6', config.dtMin ?? 0.001, config.dtMax ?? 0.1);
  checkPositive('S6', 'dtScale', config.dtScale ?? 1);
  checkPositive('S6', 'dtInitFloor', config.dtInitFloor ?? 1e-4);
  if (complexInits.includes(aInit) && dState % 2 !== 0)
    throw new OutOfRangeError(
      `S6: dState is ${dState}, expected an even number with aInit ${aInit} (two real states for each complex one)`,
    );
}
