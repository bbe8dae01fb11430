import { computeType } from '../../dtype';
import { DeviceError } from '../../errors';
import { AccessPrinter, type Lanes } from './access';
import { Accumulators } from './accumulators';
import { type Affine, AffineSet } from './affine';
import type { I32, V128 } from './expression';
import { FunctionBuilder, type Local } from './function';
import { type Operand, printInstruction } from './instruction';
import { threefry } from './integer-math';
import { VectorMath } from './math';
import type { Nest } from './nest';
import { i32, i32x4 } from './operators';

/**
 * Prints one loop nest as a function (buffer 0 address, buffer 1 address, …, tid, threads): void, which runs the units
 * that belong to thread `tid` of `threads`.
 */
export function printNest(nest: Nest, buffers: number, relaxed: boolean): FunctionBuilder {
  return new NestPrinter(nest, buffers, relaxed).print();
}

/** Vectors handled side by side in one turn, or one element in lane 0. */
interface Strip {
  readonly copies: number;
  readonly single: boolean;
}

class NestPrinter {
  private readonly fn: FunctionBuilder;
  private readonly math: VectorMath;
  /** Level of each dimension: 1 for those of a unit's row, then one level per loop. */
  private readonly levelOf: readonly number[];
  private readonly vectorLevel: number;
  private readonly index: readonly Local<'i32'>[];
  private readonly affines: AffineSet;
  private readonly loads: readonly AccessPrinter[];
  private readonly stores: readonly AccessPrinter[];
  private readonly indices = new Map<number, Affine>();
  private readonly valueLevel: readonly number[];
  /** Values printed so far, per copy (one entry where copies don't differ). */
  private readonly values: V128[][] = [];
  private readonly ciphers = new Map<string, readonly [V128, V128]>();
  private reduced: V128[][] = [];

  constructor(
    private readonly nest: Nest,
    private readonly buffers: number,
    relaxed: boolean,
  ) {
    const { kernel, analysis, vector } = nest;
    const fn = new FunctionBuilder([...new Array<'i32'>(buffers).fill('i32'), 'i32', 'i32']);
    this.fn = fn;
    this.math = new VectorMath(fn, relaxed);
    const loops = nest.mode === 'columns' ? [vector, ...nest.reduceDims] : [...nest.reduceDims, vector];
    this.levelOf = kernel.domain.map((_, d) => (loops.includes(d) ? 2 + loops.indexOf(d) : 1));
    this.vectorLevel = this.levelOf[vector];
    this.index = kernel.domain.map(() => fn.local('i32'));
    this.affines = new AffineSet(
      fn,
      this.levelOf,
      this.index.map((i) => i.get),
    );
    const levels = { levelOf: this.levelOf, vector, vectorSize: kernel.domain[vector], x: this.index[vector].get };
    this.loads = kernel.loads.map((access) => new AccessPrinter(fn, access, levels, this.affines));
    this.stores = kernel.stores.map((store) => new AccessPrinter(fn, store.access, levels, this.affines));
    analysis.instructions.forEach((x, i) => {
      if (x.op === 'index' && analysis.needed[i])
        this.indices.set(i, this.affines.register('', null, x.offset, x.strides, 1));
    });
    this.valueLevel = analysis.varies.map((set) =>
      this.levelOf.reduce((max, level, d) => ((set >> d) & 1 ? Math.max(max, level) : max), 0),
    );
    this.checkTypes();
  }

  private checkTypes(): void {
    const { kernel, analysis } = this.nest;
    for (const { access, value } of kernel.stores) {
      const { dtype } = analysis.instructions[value];
      if (computeType(access.dtype) !== dtype)
        throw new DeviceError(`cpu: a kernel stores a ${dtype} value as ${access.dtype}`);
    }
    for (const x of analysis.instructions) {
      if (x.op === 'load' && computeType(kernel.loads[x.load].dtype) !== x.dtype) {
        throw new DeviceError(`cpu: a kernel loads ${kernel.loads[x.load].dtype} memory as ${x.dtype}`);
      }
    }
  }

  print(): FunctionBuilder {
    const { fn, nest } = this;
    const tid = fn.parameter(this.buffers, 'i32');
    const threads = fn.parameter(this.buffers + 1, 'i32');
    const units = i32.const(nest.units);
    const chunk = fn.let(i32.divU(i32.add(i32.const(nest.units - 1), threads), threads));
    const unit = fn.local('i32');
    fn.set(unit, i32.mul(tid, chunk));
    const limit = fn.let(i32.add(unit.get, chunk));
    const end = fn.let(i32.select(i32.ltU(limit, units), limit, units));
    fn.if(i32.ltU(unit.get, end), () => {
      this.enter(0, { copies: 1, single: false });
      fn.doWhile(
        () => {
          this.unit(unit.get);
          fn.set(unit, i32.add(unit.get, i32.const(1)));
        },
        i32.ltU(unit.get, end),
      );
    });
    return fn;
  }

  private unit(unit: I32): void {
    const { fn, nest, index } = this;
    const { kernel, vector, block, mode } = nest;
    const size = kernel.domain[vector];
    const blocks = mode === 'rows' ? 1 : Math.ceil(size / block);
    let rest = unit;
    let range: Range = { low: i32.const(0), high: i32.const(size), lengths: [size] };
    if (nest.crossing >= 0) {
      const across = kernel.domain[nest.crossing];
      fn.set(index[nest.crossing], i32.remU(rest, i32.const(across)));
      rest = fn.let(i32.divU(rest, i32.const(across)));
    }
    if (blocks > 1) {
      const first = fn.let(i32.mul(i32.remU(rest, i32.const(blocks)), i32.const(block)));
      range = this.piece(first, block, size);
      rest = fn.let(i32.divU(rest, i32.const(blocks)));
    }
    const others = nest.rowDims.filter((d) => d !== nest.crossing).toReversed();
    others.forEach((d, i) => {
      const last = i === others.length - 1;
      fn.set(index[d], last ? rest : i32.remU(rest, i32.const(kernel.domain[d])));
      if (!last) rest = fn.let(i32.divU(rest, i32.const(kernel.domain[d])));
    });
    this.enter(1, { copies: 1, single: false });
    if (mode === 'map') this.strips(range, (strip) => this.innermost(strip, () => {}));
    else if (mode === 'rows') this.rowUnit();
    else this.columnUnit(range);
  }

  /** [first, first + step) within [0, size). */
  private piece(first: I32, step: number, size: number): Range {
    const { fn } = this;
    const high = fn.let(i32.add(first, i32.const(step)));
    const lastLength = size % step === 0 ? step : size % step;
    return {
      low: first,
      high: lastLength === step ? high : fn.let(i32.select(i32.ltS(high, i32.const(size)), high, i32.const(size))),
      lengths: size > step ? [step, lastLength] : [lastLength],
    };
  }

  /** The range of a reduced dimension: all of it, or this unit's slice. */
  private reducedRange(d: number): Range {
    const { kernel, slice } = this.nest;
    const size = kernel.domain[d];
    if (slice?.dim !== d) return { low: i32.const(0), high: i32.const(size), lengths: [size] };
    return this.piece(this.fn.let(i32.mul(this.index[0].get, i32.const(slice.chunk))), slice.chunk, size);
  }

  private rowUnit(): void {
    const { nest } = this;
    const sums = this.accumulators(nest.unroll);
    const ranges = new Map([...nest.reduceDims, nest.vector].map((d) => [d, this.reducedRange(d)]));
    const loop = (depth: number): void => {
      const d = nest.reduceDims[depth];
      if (d === undefined) {
        this.strips(ranges.get(nest.vector) as Range, (strip) =>
          this.innermost(strip, () => this.accumulate(sums, strip)),
        );
      } else {
        this.reducedLoop(d, ranges.get(d) as Range, () => loop(depth + 1));
      }
    };
    loop(0);
    this.reduced = sums.map((sum) => [sum.total()]);
    this.epilogue(1, { copies: 1, single: true });
  }

  private columnUnit(range: Range): void {
    const { nest } = this;
    const ranges = nest.reduceDims.map((d) => this.reducedRange(d));
    this.strips(range, (strip) => {
      this.enter(this.vectorLevel, strip);
      const sums = this.accumulators(strip.copies);
      const loop = (depth: number): void => {
        if (depth === nest.reduceDims.length) {
          this.bodyStores(strip);
          this.accumulate(sums, { ...strip, single: false });
        } else {
          this.reducedLoop(nest.reduceDims[depth], ranges[depth], () => loop(depth + 1), strip);
        }
      };
      loop(0);
      this.reduced = sums.map((sum) => sum.lanes());
      this.epilogue(this.vectorLevel, strip);
    });
  }

  private reducedLoop(d: number, range: Range, body: () => void, strip: Strip = { copies: 1, single: false }): void {
    const { fn } = this;
    const i = this.index[d];
    fn.set(i, range.low);
    fn.doWhile(
      () => {
        this.enter(this.levelOf[d], strip);
        body();
        fn.set(i, i32.add(i.get, i32.const(1)));
      },
      i32.ltS(i.get, range.high),
    );
  }

  /**
   * The vector loop over a range: unrolled, then one vector, then one element at a time; those that no length of the
   * range needs are left out.
   */
  private strips({ low, high, lengths }: Range, body: (strip: Strip) => void): void {
    const { fn, nest } = this;
    const x = this.index[nest.vector];
    fn.set(x, low);
    let left = lengths;
    for (const [copies, single] of [
      [nest.unroll, false],
      [1, false],
      [1, true],
    ] as const) {
      const width = single ? 1 : copies * 4;
      if (!left.some((n) => n >= width)) continue;
      left = left.map((n) => n % width);
      fn.while(i32.leS(i32.add(x.get, i32.const(width)), high), () => {
        body({ copies, single });
        fn.set(x, i32.add(x.get, i32.const(width)));
      });
    }
  }

  /** One turn of the vector loop where it is the innermost one. */
  private innermost(strip: Strip, then: () => void): void {
    this.enter(this.vectorLevel, strip);
    this.bodyStores(strip);
    then();
  }

  /** Prints everything that is known once the indices of `level` are set. */
  private enter(level: number, strip: Strip): void {
    const { kernel, analysis } = this.nest;
    if (level > 0) this.affines.enter(level);
    for (const access of [...this.loads, ...this.stores]) access.enter(level);
    this.ciphers.clear();
    for (let v = 0; v < kernel.body.length; v++) {
      if (!analysis.needed[v] || this.valueLevel[v] !== level) continue;
      const copies = (analysis.varies[v] >> this.nest.vector) & 1 ? strip.copies : 1;
      this.values[v] = [];
      for (let copy = 0; copy < copies; copy++)
        this.values[v].push(this.value(v, level, { copy, single: strip.single }));
    }
  }

  private epilogue(level: number, strip: Strip): void {
    const { kernel, analysis } = this.nest;
    this.ciphers.clear();
    for (let v = analysis.bodyLength; v < analysis.instructions.length; v++) {
      if (!analysis.needed[v]) continue;
      this.values[v] = [];
      for (let copy = 0; copy < strip.copies; copy++)
        this.values[v].push(this.value(v, level, { copy, single: strip.single }));
    }
    kernel.stores.forEach((store, i) => {
      if (store.phase === 'epilogue') this.store(i, level, strip);
    });
  }

  private bodyStores(strip: Strip): void {
    const level = Math.max(...this.levelOf);
    this.nest.kernel.stores.forEach((store, i) => {
      if (store.phase === 'body') this.store(i, level, strip);
    });
  }

  private store(index: number, level: number, { copies, single }: Strip): void {
    const { value } = this.nest.kernel.stores[index];
    for (let copy = 0; copy < copies; copy++)
      this.stores[index].store(level, { copy, single }, this.copyOf(value, copy));
  }

  private copyOf(value: number, copy: number): V128 {
    const copies = this.values[value];
    return copies[Math.min(copy, copies.length - 1)];
  }

  private value(v: number, level: number, lanes: Lanes): V128 {
    const { fn, nest } = this;
    const x = nest.analysis.instructions[v];
    switch (x.op) {
      case 'load':
        return this.loads[x.load].load(level, lanes);
      case 'const':
        return x.dtype === 'float32'
          ? fn.float(x.value)
          : fn.int(x.dtype === 'int32' ? x.value : x.value === 0 ? 0 : -1);
      case 'index': {
        const first = i32x4.splat((this.indices.get(v) as Affine).at[level]);
        const s = x.strides[nest.vector];
        const from = lanes.copy * 4 * s;
        return fn.let(s === 0 ? first : i32x4.add(first, fn.words(from, from + s, from + 2 * s, from + 3 * s)));
      }
      case 'reduced': {
        const copies = this.reduced[x.reduce];
        return copies[Math.min(lanes.copy, copies.length - 1)];
      }
      case 'threefry': {
        const key = `${x.args.join()}/${lanes.copy}`;
        let words = this.ciphers.get(key);
        if (!words) {
          const [key0, key1, counter] = x.args.map((a) => this.copyOf(a, lanes.copy));
          this.ciphers.set(key, (words = threefry(fn, key0, key1, counter)));
        }
        return words[x.lane];
      }
      default:
        return printInstruction(
          this.math,
          x,
          x.args.map((a) => this.operand(a, lanes.copy)),
        );
    }
  }

  private operand(v: number, copy: number): Operand {
    const x = this.nest.analysis.instructions[v];
    return { lanes: this.copyOf(v, copy), dtype: x.dtype, constant: x.op === 'const' ? x.value : undefined };
  }

  /** Fresh accumulators of each reduction. */
  private accumulators(copies: number): Accumulators[] {
    return this.nest.kernel.reduces.map((reduce) => new Accumulators(this.fn, reduce, copies));
  }

  private accumulate(sums: readonly Accumulators[], { copies, single }: Strip): void {
    this.nest.kernel.reduces.forEach((reduce, r) => {
      for (let copy = 0; copy < copies; copy++) sums[r].add(copy, this.copyOf(reduce.value, copy), single);
    });
  }
}

/** Positions [low, high) and the lengths that high - low can have. */
interface Range {
  readonly low: I32;
  readonly high: I32;
  readonly lengths: readonly number[];
}
