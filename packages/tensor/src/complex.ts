import { ShapeError } from './errors';
import { formatShape } from './shape';
import { type Operand, Tensor } from './tensor';

/** A complex tensor: a pair of real ones of equal shape. */
export class Complex {
  constructor(
    readonly re: Tensor,
    readonly im: Tensor,
  ) {}

  /** From a tensor whose last axis is (re, im). */
  static fromPairs(x: Tensor): Complex {
    if (x.shape[x.shape.length - 1] !== 2) throw new ShapeError(`Complex.fromPairs: x has shape ${formatShape(x.shape)}, expected a last axis of 2 (re, im)`);
    return new Complex(x.slice(-1, 0, 1).squeeze(-1), x.slice(-1, 1, 2).squeeze(-1));
  }

  /** r e^{i angle}. */
  static polar(r: Operand, angle: Tensor): Complex {
    return new Complex(angle.cos().mul(r), angle.sin().mul(r));
  }

  /** A last axis of (re, im), as checkpoints and the scan store it. */
  toPairs(): Tensor {
    const axis = this.re.shape.length;
    return this.re.unsqueeze(axis).pad(axis, 0, 1).add(this.im.unsqueeze(axis).pad(axis, 1, 0));
  }

  add(o: Complex): Complex { return new Complex(this.re.add(o.re), this.im.add(o.im)); }
  sub(o: Complex): Complex { return new Complex(this.re.sub(o.re), this.im.sub(o.im)); }
  mul(o: Complex): Complex {
    return new Complex(this.re.mul(o.re).sub(this.im.mul(o.im)), this.re.mul(o.im).add(this.im.mul(o.re)));
  }
  /** Times a real factor. */
  scale(factor: Operand): Complex { return new Complex(this.re.mul(factor), this.im.mul(factor)); }
  addReal(term: Operand): Complex { return new Complex(this.re.add(term), this.im); }
  neg(): Complex { return new Complex(this.re.neg(), this.im.neg()); }
  conj(): Complex { return new Complex(this.re, this.im.neg()); }
  /** |x|², real. */
  abs2(): Tensor { return this.re.square().add(this.im.square()); }
  reciprocal(): Complex {
    const norm = this.abs2();
    return new Complex(this.re.div(norm), this.im.neg().div(norm));
  }
  div(o: Complex): Complex { return this.mul(o.reciprocal()); }
  exp(): Complex { return Complex.polar(this.re.exp(), this.im); }
  /** e^x − 1 without cancellation near 0: (expm1(a) cos b − 2 sin²(b/2)) + i e^a sin b. */
  expm1(): Complex {
    const half = this.im.mul(0.5).sin();
    return new Complex(this.re.expm1().mul(this.im.cos()).sub(half.square().mul(2)), this.re.exp().mul(this.im.sin()));
  }
  sum(axes?: number | readonly number[], keepDims = false): Complex {
    return new Complex(this.re.sum(axes, keepDims), this.im.sum(axes, keepDims));
  }
  unsqueeze(axis: number): Complex { return new Complex(this.re.unsqueeze(axis), this.im.unsqueeze(axis)); }
  reshape(...shape: readonly number[]): Complex { return new Complex(this.re.reshape(...shape), this.im.reshape(...shape)); }
}
