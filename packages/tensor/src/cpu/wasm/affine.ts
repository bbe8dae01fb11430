import type { I32 } from './expression';
import { addConst, mulConst, type FunctionBuilder } from './function';
import { i32 } from './operators';

/**
 * base + offset + sum_d strides[d] i_d, built up level by level: what is known outside a loop is computed outside it.
 * Wraps modulo 2^32, so addresses may be formed that are out of range, as long as they are not used.
 */
export interface Affine {
  readonly strides: readonly number[];
  /** The partial sum over all dimensions up to each loop level. */
  readonly at: I32[];
}

/**
 * The affine functions of a kernel. Level 0 is outside all loops; each dimension belongs to the level of the loop that
 * sets its index.
 */
export class AffineSet {
  private readonly all: Affine[] = [];
  private readonly known = new Map<string, Affine>();

  constructor(
    private readonly fn: FunctionBuilder,
    private readonly levelOf: readonly number[],
    /** Locals that hold the loop indices. */
    private readonly index: readonly I32[],
  ) {}

  /**
   * `strides` and `offset` are multiplied by `scale`; `base` (named `baseKey`) is added. Register everything before the
   * first level.
   */
  register(baseKey: string, base: I32 | null, offset: number, strides: readonly number[], scale: number): Affine {
    const key = `${baseKey}:${offset * scale}:${strides.map((s) => s * scale).join(',')}`;
    const known = this.known.get(key);
    if (known) return known;
    const constant = (offset * scale) | 0;
    const start = base === null ? i32.const(constant) : addConst(base, constant);
    const affine = {
      strides: strides.map((s) => s * scale),
      at: [constant === 0 || base === null ? start : this.fn.let(start)],
    };
    this.known.set(key, affine);
    this.all.push(affine);
    return affine;
  }

  /** Emits the partial sums of a level whose loop indices are set. */
  enter(level: number): void {
    const products = new Map<string, I32>();
    for (const affine of this.all) {
      let sum = affine.at[level - 1];
      affine.strides.forEach((stride, d) => {
        if (stride === 0 || this.levelOf[d] !== level) return;
        const key = `${d}*${stride}`;
        let term = products.get(key);
        if (!term)
          products.set(key, (term = stride === 1 ? this.index[d] : this.fn.let(mulConst(this.index[d], stride | 0))));
        sum = i32.add(sum, term);
      });
      affine.at[level] = sum === affine.at[level - 1] ? sum : this.fn.let(sum);
    }
  }
}

/** floor(a / divisor) for a constant divisor > 0. */
export function floorDivide(fn: FunctionBuilder, a: I32, divisor: number): I32 {
  if (divisor === 1) return a;
  const value = fn.let(a);
  const quotient = fn.let(i32.divS(value, i32.const(divisor)));
  return i32.sub(quotient, i32.gtS(i32.mul(quotient, i32.const(divisor)), value));
}

/** The smaller / larger of two locals or constants. */
export function minimum(a: I32, b: I32): I32 {
  return i32.select(i32.ltS(a, b), a, b);
}

export function maximum(a: I32, b: I32): I32 {
  return i32.select(i32.gtS(a, b), a, b);
}
