import type { Access, Guard, Instruction, Kernel, Reduce, Store } from '../compile/kernel';
import type { ComputeType, DType } from '../dtype';
import type { TestBuffer } from './interpreted-kernel';

export interface RandomKernel {
  readonly kernel: Kernel;
  readonly buffers: readonly TestBuffer[];
  /** Allowed absolute error of each buffer's elements. */
  readonly tolerance: readonly number[];
}

/**
 * What is known of a value: a bound of its magnitude, and the number of binary digits behind the point while it is
 * exact in float32 (null when it is rounded, so that it must not be compared or truncated).
 */
interface Known {
  readonly dtype: ComputeType;
  readonly bound: number;
  readonly digits: number | null;
  readonly error: number;
}

/**
 * Random loops, accesses (permuted, broadcast, reversed, strided, guarded), instructions, reductions and stores of
 * every type.
 */
export function randomKernel(random: () => number, sizes: readonly number[]): RandomKernel {
  return new Generator(random, sizes).make();
}

class Generator {
  private readonly buffers: TestBuffer[] = [];
  private readonly tolerance: number[] = [];
  private readonly loads: Access[] = [];
  private readonly domain: number[];
  private readonly outerDims: number;

  constructor(
    private readonly random: () => number,
    sizes: readonly number[],
  ) {
    const rank = this.integer(0, 4);
    this.domain = Array.from({ length: rank }, () => this.pick(sizes));
    while (this.points() > 40000) this.domain[this.domain.indexOf(Math.max(...this.domain))] = 2;
    this.outerDims = rank > 0 && this.random() < 0.5 ? this.integer(0, rank - 1) : rank;
  }

  private integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)];
  }

  private points(): number {
    return this.domain.reduce((a, b) => a * b, 1);
  }

  /**
   * An access of a fresh contiguous buffer whose axes are the given loops in some order, each shifted, reversed or
   * strided.
   */
  private access(dtype: DType, dims: readonly number[], injective: boolean): Access {
    const order = [...dims];
    if (this.random() < 0.5)
      for (let i = order.length - 1; i > 0; i--) {
        const j = this.integer(0, i);
        [order[i], order[j]] = [order[j], order[i]];
      }
    const strides = this.domain.map(() => 0);
    const guards: Guard[] = [];
    let offset = 0;
    let size = 1;
    for (const d of order.toReversed()) {
      const n = this.domain[d];
      const step = this.random() < 0.7 ? 1 : this.pick([1, -1, -1, 2, 3, -2]);
      const guarded = !injective && this.random() < 0.3;
      // Axis index = start + step i; without a guard it covers [0, extent) exactly.
      const extent = guarded ? this.integer(1, n + 2) : (n - 1) * Math.abs(step) + 1;
      const start = guarded ? this.integer(-3, 3) - (step < 0 ? step * (n - 1) : 0) : step < 0 ? -step * (n - 1) : 0;
      if (guarded)
        guards.push({ offset: start, strides: this.domain.map((_, e) => (e === d ? step : 0)), size: extent });
      strides[d] = step * size;
      offset += start * size;
      size *= extent;
    }
    const extra = this.integer(0, 3);
    const values = this.fresh(dtype, size + extra);
    this.buffers.push({ dtype, values });
    this.tolerance.push(0);
    return { buffer: this.buffers.length - 1, dtype, offset: offset + this.integer(0, extra), strides, guards };
  }

  private fresh(dtype: DType, count: number): Float64Array | Int32Array {
    if (dtype === 'bool') return Int32Array.from({ length: count }, () => this.integer(0, 1));
    if (dtype === 'int32') return Int32Array.from({ length: count }, () => this.integer(-9, 9));
    return Float64Array.from({ length: count }, () => this.integer(-16, 16) / 4);
  }

  make(): RandomKernel {
    const all = this.domain.map((_, d) => d);
    const reducing = this.outerDims < this.domain.length;
    const known: Known[] = [];
    const body = this.instructions(known, all, this.integer(1, 4), this.integer(0, 9), []);
    const reduces: Reduce[] = [];
    const results: Known[] = [];
    if (reducing) {
      const count = this.domain.slice(this.outerDims).reduce((a, b) => a * b, 1);
      const usable = known.flatMap((k, i) => (k.dtype === 'bool' ? [] : [i]));
      for (let r = this.integer(1, 2); r > 0 && usable.length > 0; r--) {
        const value = this.pick(usable);
        const { dtype, bound, digits, error } = known[value];
        const op = this.pick(['sum', 'max'] as const);
        reduces.push({ op, value, dtype });
        const total = op === 'sum' ? bound * count : bound;
        const exact = digits !== null && (dtype === 'int32' || this.fits(total, digits)) ? digits : null;
        results.push({
          dtype,
          bound: total,
          digits: exact,
          error: op === 'sum' ? error * count + (exact === null ? total * (1e-6 + count * 3e-9) : 0) : error,
        });
      }
    }
    const hasEpilogue = reduces.length > 0;
    const epilogueKnown = [...known];
    const outer = all.slice(0, this.outerDims);
    const epilogue = hasEpilogue
      ? this.instructions(epilogueKnown, outer, this.integer(0, 1), this.integer(0, 4), results)
      : [];
    const stores: Store[] = [];
    if (!reducing || !hasEpilogue || this.random() < 0.3)
      stores.push(this.store(epilogueKnown, 0, body.length, reducing && !hasEpilogue ? all : all, 'body'));
    if (hasEpilogue)
      for (let s = this.integer(1, 2); s > 0; s--)
        stores.push(this.store(epilogueKnown, body.length, epilogueKnown.length, outer, 'epilogue'));
    // Loops that are reduced need a reduction.
    const outerDims = hasEpilogue ? this.outerDims : this.domain.length;
    return {
      kernel: { domain: this.domain, outerDims, loads: this.loads, body, reduces, epilogue, stores },
      buffers: this.buffers,
      tolerance: this.tolerance,
    };
  }

  private store(
    known: readonly Known[],
    from: number,
    to: number,
    dims: readonly number[],
    phase: Store['phase'],
  ): Store {
    const value = this.integer(from, to - 1);
    const { dtype, bound, error } = known[value];
    const half = dtype === 'float32' && bound < 60000 && this.random() < 0.3;
    const access = this.access(half ? this.pick(['bfloat16', 'float16'] as const) : dtype, dims, true);
    this.tolerance[access.buffer] = error + (half ? bound * 2 ** -8 * Number(error > 0) : 0);
    return { access, value, phase };
  }

  private fits(bound: number, digits: number): boolean {
    return Math.log2(bound + 1) + digits <= 23;
  }

  /**
   * `known` grows by one entry per instruction. Operands come from the instructions of this list (and of the body's, in
   * the body).
   */
  private instructions(
    known: Known[],
    dims: readonly number[],
    loads: number,
    operations: number,
    results: readonly Known[],
  ): Instruction[] {
    const list: Instruction[] = [];
    const first = known.length;
    const add = (instruction: Instruction, k: Omit<Known, 'dtype'>): void => {
      list.push(instruction);
      known.push({ dtype: instruction.dtype, ...k });
    };
    results.forEach((r, i) => add({ op: 'reduced', reduce: i, dtype: r.dtype }, r));
    for (let i = 0; i < loads; i++) {
      const dtype = this.pick(['float32', 'float32', 'float32', 'int32', 'bool', 'bfloat16', 'float16'] as const);
      const used = dims.filter(() => this.random() < 0.75);
      this.loads.push(this.access(dtype, used, false));
      const type = dtype === 'int32' || dtype === 'bool' ? dtype : 'float32';
      add(
        { op: 'load', load: this.loads.length - 1, dtype: type },
        { bound: dtype === 'int32' ? 9 : 4, digits: type === 'float32' ? 2 : 0, error: 0 },
      );
    }
    if (this.random() < 0.4) {
      const strides = this.domain.map((_, d) => (dims.includes(d) ? this.integer(-2, 3) : 0));
      const offset = this.integer(-5, 5);
      add(
        { op: 'index', offset, strides, dtype: 'int32' },
        { bound: 5 + strides.reduce((s, v, d) => s + Math.abs(v) * this.domain[d], 0), digits: 0, error: 0 },
      );
    }
    if (list.length === 0 || this.random() < 0.4) {
      const value = this.integer(-8, 8) / 4;
      add({ op: 'const', value, dtype: 'float32' }, { bound: 2, digits: 2, error: 0 });
    }
    for (let i = 0; i < operations; i++) this.operation(known, first, add);
    return list;
  }

  private operation(
    known: readonly Known[],
    first: number,
    add: (x: Instruction, k: Omit<Known, 'dtype'>) => void,
  ): void {
    const of = (test: (k: Known) => boolean): number[] => known.flatMap((k, i) => (i >= first && test(k) ? [i] : []));
    const floats = of((k) => k.dtype === 'float32');
    const integers = of((k) => k.dtype === 'int32');
    const bools = of((k) => k.dtype === 'bool');
    const kind = this.random();
    if (kind < 0.45 && floats.length > 0) {
      const [a, b] = [this.pick(floats), this.pick(floats)];
      const [x, y] = [known[a], known[b]];
      const op = this.pick(['add', 'sub', 'mul', 'min', 'max'] as const);
      const bound =
        op === 'mul'
          ? x.bound * y.bound
          : op === 'min' || op === 'max'
            ? Math.max(x.bound, y.bound)
            : x.bound + y.bound;
      if (bound > 1e6) return;
      let digits =
        x.digits === null || y.digits === null
          ? null
          : op === 'mul'
            ? x.digits + y.digits
            : Math.max(x.digits, y.digits);
      if (digits !== null && !this.fits(bound, digits)) digits = null;
      const error =
        (op === 'mul' ? x.error * y.bound + y.error * x.bound + x.error * y.error : x.error + y.error) +
        (digits === null ? bound * 2e-7 : 0);
      add({ op, args: [a, b], dtype: 'float32' }, { bound, digits, error });
    } else if (kind < 0.6 && floats.length > 0) {
      const a = this.pick(floats);
      const x = known[a];
      const op = this.pick(['neg', 'abs', 'tanh', 'sigmoid', 'erf', 'softplus', 'sin', 'cos'] as const);
      if (op === 'neg' || op === 'abs') add({ op, args: [a], dtype: 'float32' }, x);
      else
        add(
          { op, args: [a], dtype: 'float32' },
          {
            bound: op === 'softplus' ? x.bound + 1 : 1,
            digits: null,
            error: x.error * 1.2 + 1e-6 + (op === 'softplus' ? x.bound * 3e-7 : 0),
          },
        );
    } else if (kind < 0.7 && integers.length > 0) {
      const [a, b] = [this.pick(integers), this.pick(integers)];
      const op = this.pick(['add', 'sub', 'mul', 'min', 'max', 'div', 'and', 'or', 'xor'] as const);
      const bound = op === 'mul' ? known[a].bound * known[b].bound : 2 * (known[a].bound + known[b].bound);
      if (bound > 1e6) return;
      add({ op, args: [a, b], dtype: 'int32' }, { bound, digits: 0, error: 0 });
    } else if (kind < 0.8) {
      const same = this.random() < 0.5 ? of((k) => k.dtype === 'float32' && k.digits !== null) : integers;
      if (same.length > 0)
        add(
          { op: this.pick(['lt', 'le', 'eq', 'ne'] as const), args: [this.pick(same), this.pick(same)], dtype: 'bool' },
          { bound: 1, digits: 0, error: 0 },
        );
    } else if (kind < 0.9 && bools.length > 0) {
      const branches = this.random() < 0.7 && floats.length > 0 ? floats : integers;
      if (branches.length === 0) return;
      const [a, b] = [this.pick(branches), this.pick(branches)];
      const [x, y] = [known[a], known[b]];
      add(
        { op: 'where', args: [this.pick(bools), a, b], dtype: x.dtype },
        {
          bound: Math.max(x.bound, y.bound),
          digits: x.digits === null || y.digits === null ? null : Math.max(x.digits, y.digits),
          error: Math.max(x.error, y.error),
        },
      );
    } else {
      const exact = of((k) => k.digits !== null);
      if (exact.length === 0) return;
      const a = this.pick(exact);
      const to = this.pick(['float32', 'int32', 'bool'] as const);
      add(
        { op: 'cast', args: [a], to, dtype: to },
        { bound: known[a].bound, digits: to === 'float32' ? known[a].digits : 0, error: 0 },
      );
    }
  }
}
