import {
  type Device,
  formatShape,
  ones,
  OutOfRangeError,
  ShapeError,
  type Tensor,
  type Variable,
} from '@mamba-ts/tensor';
import { checkInteger, checkNumber } from '../argument';
import { Module } from '../module';
import { parameter } from '../parameter';

export interface RMSNormOptions {
  /** Default 1e-5. */
  readonly eps?: number;
  /**
   * Statistics are taken over width / groups neighbouring channels at a time (Mamba-2's norm with tensor parallelism).
   * Default 1.
   */
  readonly groups?: number;
  readonly device?: Device;
}

/**
 * y = x / √(mean(x²) + eps) · weight over the last axis (Zhang & Sennrich 2019), in float32 whatever x is stored as.
 */
export class RMSNorm extends Module {
  /** (width), ones. */
  readonly weight: Variable;
  readonly eps: number;
  readonly groups: number;

  constructor(width: number, options: RMSNormOptions = {}) {
    super();
    checkInteger('RMSNorm', 'width', width, 1);
    this.eps = checkNumber('RMSNorm', 'eps', options.eps ?? 1e-5, 0);
    this.groups = checkInteger('RMSNorm', 'groups', options.groups ?? 1, 1);
    if (width % this.groups !== 0) {
      throw new OutOfRangeError(`RMSNorm: groups is ${this.groups}, expected a divisor of width ${width}`);
    }
    this.weight = parameter(ones([width], options));
  }

  /** (…, width) → the same shape */
  forward(x: Tensor): Tensor {
    const [width] = this.weight.shape;
    if (x.shape[x.shape.length - 1] !== width) {
      throw new ShapeError(`RMSNorm: x has shape ${formatShape(x.shape)}, expected a last axis of ${width}`);
    }
    const wide = x.cast('float32');
    if (this.groups === 1) return this.normalized(wide).mul(this.weight);
    const grouped = wide.reshape(...x.shape.slice(0, -1), this.groups, width / this.groups);
    return this.normalized(grouped)
      .reshape(...x.shape)
      .mul(this.weight);
  }

  private normalized(x: Tensor): Tensor {
    return x.mul(x.square().mean(-1, true).add(this.eps).rsqrt());
  }
}
