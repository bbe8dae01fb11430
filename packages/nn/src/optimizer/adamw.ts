import {
  assignAll,
  formatShape,
  ones,
  sameShape,
  scope,
  ShapeError,
  type Tensor,
  type Variable,
  zeros,
} from '@mamba-ts/tensor';
import { checkNumber } from '../argument';
import { parameter as stateVariable } from '../parameter';
import { type ParameterGroup, settleParameters, type TrainedParameter } from './parameter-groups';

export interface AdamWOptions {
  /** Peak learning rate: the schedule factor multiplies it. */
  readonly learningRate: number;
  /** Decay of the first moment. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment. Default 0.999. */
  readonly beta2?: number;
  /** Added to the square root of the second moment. Default 1e-8. */
  readonly eps?: number;
  /** Decoupled: parameters shrink by learning rate · weight decay per update. Default 0.01. */
  readonly weightDecay?: number;
  /** Settings for some parameters, over what their metadata says. */
  readonly groups?: readonly ParameterGroup[];
}

interface Slot extends TrainedParameter {
  readonly firstMoment: Variable;
  readonly secondMoment: Variable;
}

/**
 * Adam with decoupled weight decay (Loshchilov & Hutter 2019), with PyTorch's defaults. Update t of a parameter p with
 * gradient g, γ = learning rate · schedule factor:
 *
 *     p ← p − γ·weightDecay·p
 *     m ← β₁m + (1 − β₁)g            v ← β₂v + (1 − β₂)g²
 *     p ← p − γ · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)
 *
 * All of it happens on the device, the count of updates included, so that a compiled step replays without the host.
 * Moments and arithmetic are float32 also for parameters stored in half precision.
 */
export class AdamW {
  /** The parameters that are trained: what `grad` is asked for, and the order of `update`'s gradients. */
  readonly parameters: readonly Variable[];
  /** Their paths, in the same order. */
  readonly paths: readonly string[];
  private readonly slots: readonly Slot[];
  /** int32 (): updates so far. */
  private readonly step: Variable;
  /** float32 (): the schedule's factor for the next update. */
  private readonly factor: Variable;
  private readonly beta1: number;
  private readonly beta2: number;
  private readonly eps: number;

  /**
   * @param parameters by path, as `module.parameters()` gives them; each variable is trained once, those marked
   *   `trainable: false` are left out
   * @throws OutOfRangeError for a learning rate, decay or eps that makes no sense (NaN, negative), or a group that
   *   matches nothing
   */
  constructor(parameters: ReadonlyMap<string, Variable>, options: AdamWOptions) {
    const { learningRate, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01, groups = [] } = options;
    checkNumber('AdamW', 'learningRate', learningRate, 0);
    checkNumber('AdamW', 'weightDecay', weightDecay, 0);
    this.beta1 = checkNumber('AdamW', 'beta1', beta1, 0, 1);
    this.beta2 = checkNumber('AdamW', 'beta2', beta2, 0, 1);
    this.eps = checkNumber('AdamW', 'eps', eps, 0);
    const trained = settleParameters('AdamW', parameters, { learningRate, weightDecay }, groups);
    const { device } = trained[0].parameter;
    this.slots = trained.map((t) => ({
      ...t,
      firstMoment: stateVariable(zeros(t.parameter.shape, { device: t.parameter.device })),
      secondMoment: stateVariable(zeros(t.parameter.shape, { device: t.parameter.device })),
    }));
    this.step = stateVariable(zeros([], { device, dtype: 'int32' }));
    this.factor = stateVariable(ones([], { device }));
    this.parameters = this.slots.map((s) => s.parameter);
    this.paths = this.slots.map((s) => s.path);
  }

  /**
   * Applies one update to all parameters. Belongs into a compiled step, behind `grad`. Outside of one it runs at once:
   * then compute first, with `realize(loss, ...gradients)`, what is read later, for it depends on the parameters' old
   * values.
   *
   * @param gradients one per parameter, in the order of `parameters`
   */
  update(gradients: readonly Tensor[]): void {
    this.checkGradients(gradients);
    scope(() => {
      const { beta1, beta2, eps } = this;
      const step = this.step.add(1);
      const t = step.cast('float32');
      const scale1 = biasCorrection(beta1, t);
      const scale2 = biasCorrection(beta2, t)?.sqrt();
      const assignments: (readonly [Variable, Tensor])[] = [[this.step, step]];
      const scalars = new Map<string, { decay: Tensor; size: Tensor }>();
      // From the last parameter to the first: the order in which the backward pass makes the gradients.
      for (let i = this.slots.length - 1; i >= 0; i--) {
        const { parameter, firstMoment, secondMoment, learningRate, weightDecay } = this.slots[i];
        const key = `${learningRate} ${weightDecay}`;
        let shared = scalars.get(key);
        if (!shared) {
          const rate = this.factor.mul(learningRate);
          const decay = this.factor.mul(-learningRate * weightDecay).add(1);
          scalars.set(key, (shared = { decay, size: scale1 ? rate.mul(scale1) : rate }));
        }
        const g = gradients[i].cast('float32');
        const m = firstMoment.mul(beta1).add(g.mul(1 - beta1));
        const v = secondMoment.mul(beta2).add(g.square().mul(1 - beta2));
        const deviation = scale2 ? v.sqrt().mul(scale2) : v.sqrt();
        const direction = m.div(deviation.add(eps));
        const p = parameter.cast('float32').mul(shared.decay).sub(direction.mul(shared.size));
        assignments.push([firstMoment, m], [secondMoment, v], [parameter, p]);
      }
      assignAll(assignments);
    });
  }

  /**
   * The factor on all learning rates from the next update on: what a schedule gives for its step.
   *
   * @throws OutOfRangeError unless it is a finite number >= 0
   */
  setScheduleFactor(factor: number): void {
    checkNumber('setScheduleFactor', 'factor', factor, 0);
    this.factor.write(Float64Array.of(factor));
  }

  /**
   * What a resumed run needs: `step`, `firstMoment.PATH` and `secondMoment.PATH`. The schedule factor is set per step
   * anyway.
   */
  stateDict(): Map<string, Variable> {
    const state = new Map<string, Variable>([['step', this.step]]);
    for (const { path, firstMoment, secondMoment } of this.slots) {
      state.set(`firstMoment.${path}`, firstMoment);
      state.set(`secondMoment.${path}`, secondMoment);
    }
    return state;
  }

  /** Frees moments and counters; the parameters stay. */
  dispose(): void {
    for (const v of [...this.stateDict().values(), this.factor]) v.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private checkGradients(gradients: readonly Tensor[]): void {
    if (gradients.length !== this.slots.length) {
      throw new ShapeError(
        `AdamW: gradients has ${gradients.length} entries, expected ${this.slots.length}, one per parameter`,
      );
    }
    this.slots.forEach(({ path, parameter }, i) => {
      if (sameShape(gradients[i].shape, parameter.shape)) return;
      const got = `gradients[${i}] has shape ${formatShape(gradients[i].shape)}`;
      throw new ShapeError(`AdamW: ${got}, expected ${formatShape(parameter.shape)} as ${path} has`);
    });
  }
}

/** 1 / (1 − βᵗ), without the cancellation that 1 − βᵗ would suffer in float32; null where it is 1. */
function biasCorrection(beta: number, t: Tensor): Tensor | null {
  return beta === 0 ? null : t.mul(Math.log(beta)).expm1().neg().reciprocal();
}
