import { type Device, formatShape, ones, ShapeError, type Tensor, type Variable, zeros } from '@mamba-ts/tensor';
import { checkInteger, checkNumber } from '../argument';
import { Module } from '../module';
import { parameter } from '../parameter';

export interface LayerNormOptions {
  /** Default 1e-5. */
  readonly eps?: number;
  /** Default true. */
  readonly bias?: boolean;
  readonly device?: Device;
}

/**
 * y = (x − mean) / √(variance + eps) · weight + bias over the last axis (Ba et al. 2016), in float32 whatever x is
 * stored as. The variance is the mean squared deviation, taken around the mean that was computed before: no
 * cancellation.
 */
export class LayerNorm extends Module {
  /** (width), ones. */
  readonly weight: Variable;
  /** (width), zeros, or null. */
  readonly bias: Variable | null;
  readonly eps: number;

  constructor(width: number, options: LayerNormOptions = {}) {
    super();
    checkInteger('LayerNorm', 'width', width, 1);
    this.eps = checkNumber('LayerNorm', 'eps', options.eps ?? 1e-5, 0);
    this.weight = parameter(ones([width], options));
    this.bias = options.bias === false ? null : parameter(zeros([width], options));
  }

  /** (…, width) → the same shape */
  forward(x: Tensor): Tensor {
    const [width] = this.weight.shape;
    if (x.shape[x.shape.length - 1] !== width) {
      throw new ShapeError(`LayerNorm: x has shape ${formatShape(x.shape)}, expected a last axis of ${width}`);
    }
    const wide = x.cast('float32');
    const centered = wide.sub(wide.mean(-1, true));
    const y = centered.mul(centered.square().mean(-1, true).add(this.eps).rsqrt()).mul(this.weight);
    return this.bias ? y.add(this.bias) : y;
  }
}
