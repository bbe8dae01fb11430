import type { Reduce } from '../../compile/kernel';
import type { V128 } from './expression';
import type { FunctionBuilder, Local } from './function';
import { f32x4, i32x4, v128 } from './operators';

/**
 * The lanes of one reduction while they are accumulated, in `copies` independent vectors. A float maximum keeps NaN
 * apart: the instruction that propagates it is several times slower than `pmax`.
 */
export class Accumulators {
  private readonly identity: V128;
  private readonly sums: readonly Local<'v128'>[];
  private readonly nans: readonly Local<'v128'>[] | null;

  constructor(
    private readonly fn: FunctionBuilder,
    private readonly reduce: Reduce,
    copies: number,
  ) {
    const { op, dtype } = reduce;
    const fresh = (start: V128): Local<'v128'> => {
      const local = fn.local('v128');
      fn.set(local, start);
      return local;
    };
    if (op === 'sum' || dtype === 'bool') this.identity = fn.int(0);
    else this.identity = dtype === 'int32' ? fn.int(-0x80000000) : fn.float(-Infinity);
    this.sums = Array.from({ length: copies }, () => fresh(this.identity));
    this.nans = op === 'max' && dtype === 'float32' ? this.sums.map(() => fresh(fn.int(0))) : null;
  }

  /** Takes in four lanes, or lane 0 alone. */
  add(copy: number, value: V128, single: boolean): void {
    const { fn } = this;
    const sum = this.sums[copy];
    const term = single ? fn.let(v128.select(fn.words(-1, 0, 0, 0), value, this.identity)) : value;
    if (this.nans) {
      const nan = this.nans[copy];
      fn.set(nan, v128.or(nan.get, f32x4.ne(term, term)));
      fn.set(sum, f32x4.pmax(term, sum.get));
    } else {
      fn.set(sum, this.combine(sum.get, term));
    }
  }

  /** The lanes of each copy. */
  lanes(): V128[] {
    return this.sums.map((sum, i) => this.fn.let(this.nans ? v128.or(sum.get, this.nans[i].get) : sum.get));
  }

  /**
   * Everything reduced to one value, in all lanes. Always in the same order: halves of the copies, then of the lanes.
   */
  total(): V128 {
    const { fn } = this;
    let parts = this.lanes();
    while (parts.length > 1) {
      const half = parts.length / 2;
      parts = parts.slice(0, half).map((p, i) => fn.let(this.combine(p, parts[i + half])));
    }
    const pairs = fn.let(this.combine(parts[0], v128.shuffle(parts[0], parts[0], [2, 3, 0, 1])));
    return fn.let(this.combine(pairs, v128.shuffle(pairs, pairs, [1, 0, 3, 2])));
  }

  private combine(a: V128, b: V128): V128 {
    const { op, dtype } = this.reduce;
    if (dtype === 'bool') return v128.or(a, b);
    if (op === 'sum') return dtype === 'int32' ? i32x4.add(a, b) : f32x4.add(a, b);
    return dtype === 'int32' ? i32x4.maxS(a, b) : f32x4.max(a, b);
  }
}
