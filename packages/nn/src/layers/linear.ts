import { formatShape, type RandomGenerator, ShapeError, type Tensor, type Variable } from '@mamba-ts/tensor';
import { checkInteger } from '../argument';
import { type Initializer, uniform, uniformFanIn } from '../initializers';
import { Module } from '../module';
import { initialized } from '../parameter';
import { project } from '../precision';

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
  /** Default U(±1/√inputs), as in PyTorch. */
  readonly weightInit?: Initializer;
  /** Default U(±1/√inputs), as in PyTorch. */
  readonly biasInit?: Initializer;
}

/** y = x Wᵀ + b over the last axis. */
export class Linear extends Module {
  /** (outputs, inputs) */
  readonly weight: Variable;
  /** (outputs) or null. */
  readonly bias: Variable | null;

  constructor(inputs: number, outputs: number, random: RandomGenerator, options: LinearOptions = {}) {
    super();
    checkInteger('Linear', 'inputs', inputs, 1);
    checkInteger('Linear', 'outputs', outputs, 1);
    const bound = 1 / Math.sqrt(inputs);
    const { bias = true, weightInit = uniformFanIn(), biasInit = uniform(-bound, bound) } = options;
    this.weight = initialized([outputs, inputs], random, weightInit, { halfPrecision: true });
    this.bias = bias ? initialized([outputs], random, biasInit) : null;
  }

  /** (…, inputs) → (…, outputs), or of the outputs those in the range [from, to) alone. */
  forward(x: Tensor, part?: readonly [from: number, to: number]): Tensor {
    const inputs = this.weight.shape[1];
    const rank = x.shape.length;
    if (rank === 0 || x.shape[rank - 1] !== inputs) {
      throw new ShapeError(`Linear: x has shape ${formatShape(x.shape)}, expected a last axis of ${inputs}`);
    }
    const rows = rank === 1 ? x.unsqueeze(0) : x;
    const own = (all: Tensor): Tensor => (part ? all.slice(0, part[0], part[1]) : all);
    const product = project(rows, own(this.weight));
    const y = rank === 1 ? product.squeeze(0) : product;
    return this.bias ? y.add(own(this.bias)) : y;
  }
}
