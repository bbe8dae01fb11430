import { type RandomGenerator, ShapeError, type Tensor, type Variable, formatShape } from '@mamba-ts/tensor';
import { Module } from './module';
import { parameter } from './parameter';

export interface LinearOptions {
  /** Default true. */
  readonly bias?: boolean;
}

/** y = x Wᵀ + b over the last axis. */
export class Linear extends Module {
  /** (outputs, inputs); U(±1/√inputs), PyTorch's default. */
  readonly weight: Variable;
  /** (outputs) or null. */
  readonly bias: Variable | null;

  constructor(inputs: number, outputs: number, random: RandomGenerator, options: LinearOptions = {}) {
    super();
    const bound = 1 / Math.sqrt(inputs);
    this.weight = parameter(random.uniform([outputs, inputs], -bound, bound));
    this.bias = options.bias === false ? null : parameter(random.uniform([outputs], -bound, bound));
  }

  /** (…, inputs) → (…, outputs) */
  forward(x: Tensor): Tensor {
    const [, inputs] = this.weight.shape;
    if (x.shape[x.shape.length - 1] !== inputs) throw new ShapeError(`Linear: x has shape ${formatShape(x.shape)}, expected a last axis of ${inputs}`);
    const flat = x.shape.length === 1 ? x.unsqueeze(0) : x;
    const y = flat.matmul(this.weight, { transposeB: true });
    const shaped = x.shape.length === 1 ? y.squeeze(0) : y;
    return this.bias ? shaped.add(this.bias) : shaped;
  }
}
