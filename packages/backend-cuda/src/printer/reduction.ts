import { type ComputeType, type Instruction, type Kernel, type Reduce, sizeOf } from '@mamba-ts/tensor';
import type { Coordinate, Points } from './addressing';
import type { Operand, PtxCode } from './code';
import { type KernelFrame, neededLoops } from './frame';
import type { ReductionGeometry } from './geometry';
import { decompose } from './loops';
import { identity, operation } from './reduce-operation';
import { Tile, type TileValues } from './tile';
import { boolToInt, cast, type Value } from './values';
import { varyingValues } from './varying';

/**
 * Prints a reduction; returns the shared memory it needs. Sums are taken in an order that only depends on the kernel, so results are the same in
 * every run: each lane in its own order, lanes as a tree, splits (blocks that share an output) by whichever block of them ends last, in order.
 */
export function printReduction(frame: KernelFrame, geometry: ReductionGeometry): number {
  return new ReductionPrinter(frame, geometry).print();
}

const log2 = Math.log2;

/** Loads of the epilogue that may be on their way while the reduction runs: a thread's, each a register. */
const mostLoadsAhead = 8;

class ReductionPrinter {
  private readonly code: PtxCode;
  private readonly kernel: Kernel;
  private readonly length: number;
  private readonly outputs: number;
  private readonly innerLoops: number[];
  /** Registers that sum up, per output of this thread (rows), per reduction and per point of the vector. Outputs share what is the same for all. */
  private readonly sums: readonly (readonly (readonly Operand[])[])[];
  /** Per reduction: is it the same for all outputs of a thread? */
  private readonly shared: readonly boolean[];
  /** Values of the epilogue that are known before it, per output of this thread. */
  private readonly ahead: readonly TileValues[];
  private readonly rows: boolean;
  private sharedWords = 0;

  constructor(
    private readonly frame: KernelFrame,
    private readonly g: ReductionGeometry,
  ) {
    this.code = frame.code;
    const kernel = (this.kernel = frame.kernel);
    this.rows = g.kind === 'rows';
    this.outputs = sizeOf(kernel.domain.slice(0, kernel.outerDims));
    this.length = sizeOf(kernel.domain.slice(kernel.outerDims));
    this.innerLoops = kernel.domain.map((_, d) => d).slice(kernel.outerDims);
    const register = (r: Reduce): Operand => this.code.register(r.dtype === 'float32' ? 'f' : 'r');
    const differs = g.together > 1 ? varyingValues(kernel, [kernel.outerDims - 1]) : [];
    this.shared = kernel.reduces.map((r) => g.together > 1 && !differs[r.value]);
    const registers = (r: Reduce): Operand[] => Array.from({ length: g.vector }, () => register(r));
    const first = kernel.reduces.map((r) => registers(r));
    this.sums = Array.from({ length: g.together }, (_, row) => kernel.reduces.map((r, j) => (row === 0 || this.shared[j] ? first[j] : registers(r))));
    this.ahead = this.sums.map(() => []);
  }

  print(): number {
    const { code, g } = this;
    const thread = code.op('r', 'mov.u32', '%tid.x');
    const block = code.op('r', 'mov.u32', '%ctaid.x');
    // Rows: lanes of an output are neighbours. Columns: outputs are.
    const inner = this.rows ? g.lanes : g.across;
    const low = code.op('r', 'and.b32', thread, inner - 1);
    const high = code.op('r', 'shr.u32', thread, log2(inner));
    const [lane, place] = this.rows ? [low, high] : [high, low];
    let position = code.op('r', 'mad.lo.u32', block, g.across, place);
    const tiles = this.outputs / (this.rows ? g.together : g.vector);
    let exists: Operand | null = null;
    if (tiles % g.across !== 0) {
      // Threads beyond the last output stay, for shuffles and barriers, and repeat it.
      exists = code.op('p', 'setp.lt.u32', position, tiles);
      position = code.op('r', 'min.u32', position, tiles - 1);
    }
    const outer = this.outerPoints(position);
    const mine = this.accumulate(lane, outer, exists);
    this.combine(lane, thread, place);
    const end = code.newLabel();
    if (g.splits > 1) this.joinSplits(lane, thread, place, position, end);
    this.finish(lane, outer, mine);
    code.label(end);
    return 4 * this.sharedWords;
  }

  private both(a: Operand | null, b: Operand | null): Operand | null {
    return a === null || b === null ? (a ?? b) : this.code.op('p', 'and.pred', a, b);
  }

  /** Points at the outputs of this thread; loops that are reduced stand at 0. */
  private outerPoints(position: Operand): Points {
    const { kernel, g } = this;
    const outer = kernel.domain.slice(0, kernel.outerDims);
    const own = decompose(this.code, position, outer, neededLoops(kernel).slice(0, kernel.outerDims), this.rows ? g.together : g.vector);
    const zero: Coordinate = { register: null, constant: 0 };
    const columns = !this.rows && g.vector > 1;
    return { coordinates: [...own, ...this.innerLoops.map(() => zero)], varying: columns ? kernel.outerDims - 1 : -1, count: columns ? g.vector : 1 };
  }

  /** The same at output number `row` of this thread's: neighbours along the last of the outer loops. */
  private atRow(points: Points, row: number): Points {
    const last = this.kernel.outerDims - 1;
    return row === 0 ? points : { ...points, coordinates: points.coordinates.map((c, d) => (d === last ? { ...c, constant: c.constant + row } : c)) };
  }

  /** Each lane's own part of the reduced points, into `sums`. Gives the predicate under which this thread may store. */
  private accumulate(lane: Operand, outer: Points, exists: Operand | null): Operand | null {
    const { code, kernel, g, frame } = this;
    this.reset();
    const indices = kernel.body.flatMap((x) => (x.op === 'index' ? [x] : []));
    const inBody = [...kernel.loads, ...kernel.stores.flatMap((s) => (s.phase === 'body' ? [s.access] : []))];
    frame.addressing.inner(this.innerLoops).hoist(inBody, indices, outer);

    const step = this.rows ? g.lanes * g.vector : g.lanes;
    const at = code.op('r', this.rows && g.vector > 1 ? 'shl.b32' : 'mov.b32', ...(this.rows && g.vector > 1 ? [lane, log2(g.vector)] : [lane]));
    const full = Math.floor(this.length / step);
    const turns = Math.floor(full / g.unroll);
    const early = (x: Instruction): boolean => x.op === 'load' && frame.early(kernel.loads[x.load].buffer);
    const hasEarly = g.splits === 1 && kernel.body.some((x) => early(x));
    // The first turn stands in front of the loop where it has loads that need not wait for earlier kernels.
    const ahead = hasEarly ? (turns > 0 ? g.unroll : full) : 0;
    const varies = varyingValues(kernel, this.innerLoops);
    const fixed = this.sums.map((): TileValues => []);
    const invariants = fixed.map((values, row) => new Tile(code, kernel, frame.addressing, this.atRow(outer, row), values));
    if (hasEarly) for (const invariant of invariants) invariant.evaluate(kernel.body, 0, (x, value) => !varies[value] && early(x));
    const first = this.tiles(at, step, ahead, outer, early);
    const mine = this.both(frame.awaitEarlier(), exists);
    for (const invariant of invariants) invariant.evaluate(kernel.body, 0, (_, value) => !varies[value]);
    this.loadAhead(outer);
    if (g.splits > 1) {
      this.splitLoop(at, step, outer, fixed, mine);
      return mine;
    }
    if (ahead > 0) {
      this.complete(first, fixed, mine);
      code.do('add.s32', [at, at, ahead * step]);
    }
    const left = turns > 0 && ahead > 0 ? turns - 1 : turns;
    if (left > 1) {
      const start = code.newLabel();
      code.label(start);
      this.turn(at, step, g.unroll, outer, fixed, mine);
      code.do('add.s32', [at, at, g.unroll * step]);
      // Lanes are less than a step apart: all leave the loop together.
      code.do('bra', [start], code.op('p', 'setp.lt.u32', at, turns * g.unroll * step));
    } else if (left === 1) {
      this.turn(at, step, g.unroll, outer, fixed, mine);
      code.do('add.s32', [at, at, g.unroll * step]);
    }
    if (turns === 0 && ahead > 0) return this.lastTurn(at, step, outer, fixed, mine);
    const rest = full - turns * g.unroll;
    if (rest > 0) {
      this.turn(at, step, rest, outer, fixed, mine);
      code.do('add.s32', [at, at, rest * step]);
    }
    return this.lastTurn(at, step, outer, fixed, mine);
  }

  /** Requests what the epilogue reads: it comes while the reduction runs. Every lane does, since predicates would cost as much. */
  private loadAhead(outer: Points): void {
    const { code, kernel, frame } = this;
    const count = kernel.epilogue.filter((x) => x.op === 'load').length * this.sums.length * outer.count;
    if (this.g.splits > 1 || count > mostLoadsAhead) return;
    const scope = frame.addressing.inner([]);
    this.ahead.forEach((values, row) => {
      new Tile(code, kernel, scope, this.atRow(outer, row), values).evaluate(kernel.epilogue, kernel.body.length, (x) => x.op === 'load');
    });
  }

  /** The turn that only some lanes have points for. Gives `mine` back. */
  private lastTurn(at: Operand, step: number, outer: Points, fixed: readonly TileValues[], mine: Operand | null): Operand | null {
    const { code } = this;
    if (this.length % step === 0) return mine;
    const skip = code.newLabel();
    code.do('bra', [skip], code.op('p', 'setp.ge.u32', at, this.length));
    this.turn(at, step, 1, outer, fixed, mine);
    code.label(skip);
    return mine;
  }

  /** As above for one split's part: [split · part, (split + 1) · part), the last one shorter. */
  private splitLoop(at: Operand, step: number, outer: Points, fixed: readonly TileValues[], mine: Operand | null): void {
    const { code, g } = this;
    const part = Math.ceil(this.length / (g.splits * step)) * step;
    const split = code.op('r', 'mov.u32', '%ctaid.y');
    const limit = code.op('r', 'min.u32', code.op('r', 'mad.lo.u32', split, part, part), this.length);
    code.do('mad.lo.u32', [at, split, part, at]);
    for (const count of g.unroll > 1 ? [g.unroll, 1] : [1]) {
      const [start, end] = [code.newLabel(), code.newLabel()];
      code.label(start);
      // The last of the points that this turn takes
      const last = count === 1 ? at : code.op('r', 'add.s32', at, (count - 1) * step);
      code.do('bra', [end], code.op('p', 'setp.ge.u32', last, limit));
      this.turn(at, step, count, outer, fixed, mine);
      code.do('add.s32', [at, at, count * step]);
      code.do('bra', [start]);
      code.label(end);
    }
  }

  /** `count` turns of the loop at `at`, `at` + step, …: all loads first, then the rest. */
  private turn(at: Operand, step: number, count: number, outer: Points, fixed: readonly TileValues[], mine: Operand | null): void {
    this.complete(this.tiles(at, step, count, outer, () => false), fixed, mine);
  }

  /** The points of some turns, a tile for each of this thread's outputs, with those loads done that `early` names. */
  private tiles(at: Operand, step: number, count: number, outer: Points, early: (x: Instruction) => boolean): Tile[][] {
    const { code, kernel, g } = this;
    const addressing = this.frame.addressing.inner(this.innerLoops);
    const sizes = kernel.domain.slice(kernel.outerDims);
    const needed = neededLoops(kernel).slice(kernel.outerDims);
    return Array.from({ length: count }, (_, u) => {
      let own: Coordinate[];
      if (sizes.length === 1) own = [{ register: at, constant: u * step }];
      else {
        const position = u === 0 ? at : code.op('r', 'add.s32', at, u * step);
        const group = this.rows && g.vector > 1 ? code.op('r', 'shr.u32', position, log2(g.vector)) : position;
        own = decompose(code, group, sizes, needed, this.rows ? g.vector : 1);
      }
      const along = this.rows && g.vector > 1 ? { varying: kernel.domain.length - 1, count: g.vector } : { varying: outer.varying, count: outer.count };
      const points: Points = { coordinates: [...outer.coordinates.slice(0, kernel.outerDims), ...own], ...along };
      const scope = sizes.length === 1 ? addressing : this.frame.addressing.inner(this.innerLoops);
      const rows = this.sums.map((__, row) => new Tile(code, kernel, scope, this.atRow(points, row), []));
      this.evaluateRows(rows, early);
      return rows;
    });
  }

  /** Evaluates in the tiles of all outputs, but only once what is the same for all of them. */
  private evaluateRows(rows: readonly Tile[], wanted: (x: Instruction) => boolean): void {
    const { body, outerDims } = this.kernel;
    const differs = rows.length > 1 ? varyingValues(this.kernel, [outerDims - 1]) : [];
    const [first, ...others] = rows;
    first.evaluate(body, 0, wanted);
    for (const tile of others) {
      body.forEach((_, value) => {
        if (!differs[value]) tile.values[value] ??= first.values[value];
      });
      tile.evaluate(body, 0, (x, value) => differs[value] && wanted(x));
    }
  }

  private complete(turns: readonly (readonly Tile[])[], fixed: readonly TileValues[], mine: Operand | null): void {
    const { kernel } = this;
    for (const rows of turns) {
      rows.forEach((tile, row) => {
        fixed[row].forEach((values, i) => {
          tile.values[i] ??= values;
        });
      });
      this.evaluateRows(rows, (x) => x.op === 'load');
    }
    for (const rows of turns) {
      this.evaluateRows(rows, () => true);
      rows.forEach((tile, row) => {
        tile.store('body', mine);
        kernel.reduces.forEach((r, j) => {
          if (row === 0 || !this.shared[j]) this.add(r, this.sums[row][j], tile.values[r.value] as readonly Value[]);
        });
      });
    }
  }

  private reset(): void {
    for (const row of this.sums) {
      this.kernel.reduces.forEach((r, j) => {
        for (const sum of row[j]) this.code.do('mov.b32', [sum, identity(r)]);
      });
    }
  }

  private add(r: Reduce, sums: readonly Operand[], values: readonly Value[]): void {
    sums.forEach((sum, v) => {
      const value = values[values.length > 1 ? v : 0];
      this.code.do(operation(r), [sum, sum, value.dtype === 'bool' ? boolToInt(this.code, value.register) : value.register]);
    });
  }

  /** The lanes' sums into one: into the first element of `sums` (rows) or all of them (columns) of lane 0. */
  private combine(lane: Operand, thread: Operand, place: Operand): void {
    if (this.rows) this.combineRows(lane, thread, place);
    else this.combineColumns(lane, thread);
  }

  private combineRows(lane: Operand, thread: Operand, place: Operand): void {
    const { code, kernel, g } = this;
    const within = Math.min(32, g.lanes);
    const all = this.sums.flatMap((row, i) => row.flatMap((sums, j) => (i > 0 && this.shared[j] ? [] : [{ r: kernel.reduces[j], sums }])));
    for (const { r, sums } of all) {
      for (let width = g.vector / 2; width >= 1; width /= 2) {
        for (let v = 0; v < width; v++) code.do(operation(r), [sums[v], sums[v], sums[v + width]]);
      }
      this.shuffle(r, sums[0], within);
    }
    if (g.lanes <= 32) return;
    // Sums of warps through shared memory, then the same once more in the first warp of the output.
    const warps = g.lanes / 32;
    const words = (g.lanes * g.across) / 32;
    const base = this.sharedBase();
    const warp = code.op('r', 'shr.u32', thread, 5);
    const first = code.op('p', 'setp.eq.s32', code.op('r', 'and.b32', lane, 31), 0);
    const to = code.op('r', 'mad.lo.u32', warp, 4, base);
    all.forEach(({ sums }, j) => code.do('st.shared.b32', [`[${to}+${4 * words * j}]`, sums[0]], first));
    code.do('bar.sync', [0]);
    const inFirst = code.op('p', 'setp.lt.u32', lane, warps);
    const from = code.op('r', 'mad.lo.u32', code.op('r', 'mad.lo.u32', place, warps, lane), 4, base);
    all.forEach(({ r, sums }, j) => {
      code.do('mov.b32', [sums[0], identity(r)]);
      code.do('ld.shared.b32', [sums[0], `[${from}+${4 * words * j}]`], inFirst);
      this.shuffle(r, sums[0], warps);
    });
    this.sharedWords = Math.max(this.sharedWords, words * all.length);
  }

  private shuffle(r: Reduce, sum: Operand, lanes: number): void {
    const { code } = this;
    for (let offset = lanes / 2; offset >= 1; offset /= 2) {
      const bits = r.dtype === 'float32' ? code.op('r', 'mov.b32', sum) : sum;
      const other = code.op('r', 'shfl.sync.bfly.b32', bits, offset, 31, -1);
      code.do(operation(r), [sum, sum, r.dtype === 'float32' ? code.op('f', 'mov.b32', other) : other]);
    }
  }

  private combineColumns(lane: Operand, thread: Operand): void {
    const { code, kernel, g } = this;
    const [own] = this.sums;
    if (g.lanes === 1) return;
    const threads = g.lanes * g.across;
    const base = this.sharedBase();
    // Word of (reduction, point of the vector, lane, place): neighbours in one warp hit neighbouring banks.
    const at = code.op('r', 'mad.lo.u32', thread, 4, base);
    const word = (j: number, v: number): number => 4 * (j * g.vector + v) * threads;
    kernel.reduces.forEach((_, j) => own[j].forEach((sum, v) => code.do('st.shared.b32', [`[${at}+${word(j, v)}]`, sum])));
    code.do('bar.sync', [0]);
    const skip = code.newLabel();
    code.do('bra', [skip], code.op('p', 'setp.ne.s32', lane, 0));
    kernel.reduces.forEach((r, j) => {
      own[j].forEach((sum, v) => {
        for (let l = 1; l < g.lanes; l++) {
          const other = code.op(r.dtype === 'float32' ? 'f' : 'r', 'ld.shared.b32', `[${at}+${word(j, v) + 4 * l * g.across}]`);
          code.do(operation(r), [sum, sum, other]);
        }
      });
    });
    code.label(skip);
    this.sharedWords = Math.max(this.sharedWords, threads * g.vector * kernel.reduces.length);
  }

  private sharedBase(): Operand {
    return this.code.op('r', 'mov.u32', 'shared');
  }

  /** Leaves each split's result in global memory; the block that comes last adds them up, the others leave by `end`. */
  private joinSplits(lane: Operand, thread: Operand, place: Operand, position: Operand, end: string): void {
    const { code, kernel, g, outputs } = this;
    const vector = this.rows ? 1 : g.vector;
    const partials = this.frame.parameter('partials');
    const counters = this.frame.parameter('counters');
    const split = code.op('r', 'mov.u32', '%ctaid.y');
    const first = vector === 1 ? position : code.op('r', 'shl.b32', position, log2(vector));
    const word = (row: Operand): Operand => code.op('d', 'mad.wide.u32', code.op('r', 'mad.lo.u32', row, outputs, first), 4, partials);
    const bytes = (j: number, v: number): number => 4 * (j * g.splits * outputs + v);
    const leader = code.op('p', 'setp.eq.s32', lane, 0);
    const own = word(split);
    kernel.reduces.forEach((_, j) => {
      for (let v = 0; v < vector; v++) code.do('st.volatile.global.b32', [`[${own}+${bytes(j, v)}]`, this.sums[0][j][v]], leader);
    });
    code.do('membar.gl', []);
    code.do('bar.sync', [0]);
    const flag = this.sharedBase();
    const firstThread = code.op('p', 'setp.eq.s32', thread, 0);
    const counter = code.op('d', 'mad.wide.u32', code.op('r', 'mov.u32', '%ctaid.x'), 4, counters);
    const arrived = code.register('r');
    // Counts up to splits - 1 and falls back to 0: ready for the next launch.
    code.do('atom.global.inc.u32', [arrived, `[${counter}]`, g.splits - 1], firstThread);
    code.do('st.shared.b32', [`[${flag}]`, arrived], firstThread);
    code.do('bar.sync', [0]);
    const seen = code.op('r', 'ld.shared.b32', `[${flag}]`);
    code.do('bra', [end], code.op('p', 'setp.ne.s32', seen, g.splits - 1));
    code.do('membar.gl', []);
    code.do('bar.sync', [0]);
    this.sharedWords = Math.max(this.sharedWords, 1);

    this.reset();
    const row = code.op('r', 'mov.b32', lane);
    const [start, done] = [code.newLabel(), code.newLabel()];
    code.label(start);
    code.do('bra', [done], code.op('p', 'setp.ge.u32', row, g.splits));
    const from = word(row);
    kernel.reduces.forEach((r, j) => {
      for (let v = 0; v < vector; v++) {
        const other = code.op(r.dtype === 'float32' ? 'f' : 'r', 'ld.volatile.global.b32', `[${from}+${bytes(j, v)}]`);
        code.do(operation(r), [this.sums[0][j][v], this.sums[0][j][v], other]);
      }
    });
    code.do('add.s32', [row, row, g.lanes]);
    code.do('bra', [start]);
    code.label(done);
    this.combine(lane, thread, place);
  }

  /** The epilogue, in one thread per output. */
  private finish(lane: Operand, outer: Points, mine: Operand | null): void {
    const { code, kernel } = this;
    const end = code.newLabel();
    code.do('bra', [end], code.op('p', 'setp.ne.s32', lane, 0));
    const scope = this.frame.addressing.inner([]);
    const tiles = this.sums.map((sums, row) => {
      const results = kernel.reduces.map((r, j) =>
        Array.from({ length: outer.count }, (_, v): Value => {
          const type: ComputeType = r.dtype === 'bool' ? 'int32' : r.dtype;
          const value: Value = { dtype: type, register: sums[j][v] };
          return r.dtype === 'bool' ? cast(code, value, 'bool') : value;
        }),
      );
      return new Tile(code, kernel, scope, this.atRow(outer, row), this.ahead[row], results);
    });
    for (const tile of tiles) tile.evaluate(kernel.epilogue, kernel.body.length, (x) => x.op === 'load');
    for (const tile of tiles) {
      tile.evaluate(kernel.epilogue, kernel.body.length);
      tile.store('epilogue', mine);
    }
    code.label(end);
  }
}
