import { computeType } from '../dtype';
import type { Node } from '../graph/node';
import { sizeOf } from '../shape';
import { type Affine, flatten, type IndexMap, mapKey, reshapeRows, scaled, zero } from './index-map';
import type { Buffer, KernelBuilder } from './kernel-builder';

/** What lowering asks of the scheduler. */
export interface Buffers {
  /** The node whose value this is: autograd's identities removed, equal expressions merged. */
  resolve(node: Node): Node;
  /** The buffer of a value that lives in memory (or is decided to), else null. */
  find(node: Node): Buffer | null;
  /** As `find`, but puts the value into memory, by a kernel of its own in front of this one, if it isn't. */
  require(node: Node): Buffer;
}

/**
 * Turns the expression under a node into instructions of one kernel. Views become index maps on the loads; a reduction met at the identity map
 * becomes the kernel's reduction (what was emitted before is its epilogue); whatever cannot be part of this kernel is required from memory.
 */
export class Lowering {
  /** Reductions taken into this kernel with the map they were met at. */
  private readonly reductions: { node: Node; map: IndexMap }[] = [];
  private inBody = false;

  constructor(
    private readonly kernel: KernelBuilder,
    private readonly buffers: Buffers,
  ) {}

  /** Lowers `root` over the whole domain of the kernel (= its shape); gives the value to store. */
  root(root: Node): number {
    const value = this.visit(root, this.kernel.identity(), true);
    if (this.reductions.length > 0) {
      this.inBody = true;
      this.kernel.enterBody();
      const { node, map } = this.reductions[0];
      const loops = this.appendReducedLoops(node, map);
      this.reductions.forEach((r, i) => {
        this.kernel.reduces[i].value = this.value(r.node.inputs[0], loops);
      });
    }
    return value;
  }

  private appendReducedLoops(node: Node, map: IndexMap): IndexMap {
    const axes = reduceAxes(node);
    const input = node.inputs[0];
    const added = this.kernel.appendLoops(axes.map((a) => input.shape[a]));
    let kept = 0;
    const rows = input.shape.map((_, axis) => {
      const position = axes.indexOf(axis);
      return position >= 0 ? added[position] : map.rows[kept++];
    });
    return this.kernel.register({ rows, guards: [] });
  }

  private value(node: Node, map: IndexMap): number {
    return this.visit(node, map, false);
  }

  private visit(given: Node, map: IndexMap, isRoot: boolean): number {
    const node = this.buffers.resolve(given);
    const key = `${node.id}|${mapKey(map)}`;
    const known = this.kernel.memo.get(key);
    if (known !== undefined) return known;
    const buffer = isRoot ? null : this.buffers.find(node);
    const value = buffer ? this.load(node, buffer, map) : this.compute(node, map);
    this.kernel.memo.set(`${node.id}|${mapKey(map)}`, value);
    return value;
  }

  private load(node: Node, buffer: Buffer, map: IndexMap): number {
    return this.kernel.emitLoad(buffer, flatten(map.rows, node.shape, this.kernel.domain.length), map.guards, computeType(node.dtype));
  }

  private compute(node: Node, map: IndexMap): number {
    const dtype = computeType(node.dtype);
    const op = node.op;
    switch (op.kind) {
      case 'constant':
        return this.kernel.emit({ op: 'const', value: op.value, dtype });
      case 'index': {
        const row = map.rows[op.axis];
        return this.kernel.emit({ op: 'index', offset: row.offset, strides: [...row.strides], dtype: 'int32' });
      }
      case 'unary': {
        const x = this.value(node.inputs[0], map);
        this.kernel.label.push(op.op);
        return this.kernel.emit({ op: op.op, args: [x], dtype });
      }
      case 'binary': {
        const x = this.value(node.inputs[0], map);
        const y = this.value(node.inputs[1], map);
        this.kernel.label.push(op.op);
        return this.kernel.emit({ op: op.op, args: [x, y], dtype });
      }
      case 'where': {
        const args = node.inputs.map((x) => this.value(x, map)) as [number, number, number];
        this.kernel.label.push('where');
        return this.kernel.emit({ op: 'where', args, dtype });
      }
      case 'cast': {
        const x = this.value(node.inputs[0], map);
        const from = node.inputs[0].dtype;
        if (from !== node.dtype && computeType(from) === dtype && node.dtype === 'float32') return x;
        this.kernel.label.push('cast');
        return this.kernel.emit({ op: 'cast', args: [x], to: node.dtype, dtype });
      }
      case 'threefry': {
        const args = node.inputs.map((x) => this.value(x, map)) as [number, number, number];
        this.kernel.label.push('threefry');
        return this.kernel.emit({ op: 'threefry', args, lane: op.lane, dtype: 'int32' });
      }
      case 'permute': {
        const rows = new Array<Affine>(map.rows.length);
        op.axes.forEach((axis, i) => {
          rows[axis] = map.rows[i];
        });
        return this.value(node.inputs[0], this.kernel.register({ rows, guards: map.guards }));
      }
      case 'expand': {
        const input = node.inputs[0];
        const lead = node.shape.length - input.shape.length;
        const rank = this.kernel.domain.length;
        const rows = input.shape.map((d, i) => (d === 1 ? zero(rank) : map.rows[i + lead]));
        return this.value(input, this.kernel.register({ rows, guards: map.guards }));
      }
      case 'slice': {
        const rows = map.rows.map((row, d) => scaled(row, op.steps[d], op.starts[d]));
        return this.value(node.inputs[0], this.kernel.register({ rows, guards: map.guards }));
      }
      case 'pad':
        return this.padded(node, op.before, map);
      case 'reshape':
        return this.reshaped(node, map);
      case 'reduce':
        return this.reduced(node, map);
      default:
        return this.load(node, this.buffers.require(node), map);
    }
  }

  /** Zero outside: a guarded load where the input is in memory, a select where it is computed. */
  private padded(node: Node, before: readonly number[], map: IndexMap): number {
    const input = this.buffers.resolve(node.inputs[0]);
    const rows = map.rows.map((row, d) => scaled(row, 1, -before[d]));
    const own = rows
      .map((row, d) => ({ offset: row.offset, strides: [...row.strides], size: input.shape[d] }))
      .filter((_, d) => before[d] !== 0 || input.shape[d] !== node.shape[d]);
    const inner = this.kernel.register({ rows, guards: [...map.guards, ...own] });
    this.kernel.label.push('pad');
    if (this.buffers.find(input)) return this.value(input, inner);
    const value = this.value(input, inner);
    // `value` may have split loops: the guards were rewritten with them.
    const dtype = computeType(node.dtype);
    let condition = -1;
    for (const guard of own) {
      const at = this.kernel.emit({ op: 'index', offset: guard.offset, strides: [...guard.strides], dtype: 'int32' });
      const low = this.kernel.emit({ op: 'const', value: 0, dtype: 'int32' });
      const high = this.kernel.emit({ op: 'const', value: guard.size, dtype: 'int32' });
      const inside = this.kernel.emit({
        op: 'and',
        args: [this.kernel.emit({ op: 'le', args: [low, at], dtype: 'bool' }), this.kernel.emit({ op: 'lt', args: [at, high], dtype: 'bool' })],
        dtype: 'bool',
      });
      condition = condition < 0 ? inside : this.kernel.emit({ op: 'and', args: [condition, inside], dtype: 'bool' });
    }
    const nothing = this.kernel.emit({ op: 'const', value: 0, dtype });
    return this.kernel.emit({ op: 'where', args: [condition, value, nothing], dtype });
  }

  private reshaped(node: Node, map: IndexMap): number {
    const input = this.buffers.resolve(node.inputs[0]);
    const buffer = this.buffers.find(input);
    if (!buffer) {
      for (;;) {
        const rows = reshapeRows(map.rows, node.shape, input.shape, this.kernel.domain);
        if (rows === null) break;
        if (Array.isArray(rows)) return this.value(input, this.kernel.register({ rows, guards: map.guards }));
        this.kernel.splitLoop(rows.loop, rows.inner);
      }
    }
    // In memory a reshape is the same bytes.
    return this.load(node, buffer ?? this.buffers.require(input), map);
  }

  private reduced(node: Node, map: IndexMap): number {
    const first = this.reductions[0];
    const fits = !this.inBody && map.guards.length === 0 && (first ? sameReduction(first.node, node) && mapKey(first.map) === mapKey(map) : this.coversDomain(map));
    if (!fits) return this.load(node, this.buffers.require(node), map);
    const op = node.op as Extract<Node['op'], { kind: 'reduce' }>;
    this.reductions.push({ node, map });
    this.kernel.label.push(op.op);
    return this.kernel.emitReduced(op.op, computeType(node.dtype));
  }

  /** Does the map visit each element exactly once, i.e. is it the loop nest but for axes of size 1? */
  private coversDomain(map: IndexMap): boolean {
    const domain = this.kernel.domain;
    const used = new Set<number>();
    for (const row of map.rows) {
      const loops = row.strides.map((s, d) => (s !== 0 ? d : -1)).filter((d) => d >= 0 && domain[d] > 1);
      if (row.offset !== 0 || loops.length > 1) return false;
      if (loops.length === 1) {
        if (row.strides[loops[0]] !== 1 || used.has(loops[0])) return false;
        used.add(loops[0]);
      }
    }
    return domain.every((size, d) => size === 1 || used.has(d));
  }
}

function reduceAxes(node: Node): readonly number[] {
  return (node.op as Extract<Node['op'], { kind: 'reduce' }>).axes;
}

function sameReduction(a: Node, b: Node): boolean {
  return sizeOf(a.inputs[0].shape) === sizeOf(b.inputs[0].shape) && a.inputs[0].shape.join() === b.inputs[0].shape.join() && reduceAxes(a).join() === reduceAxes(b).join();
}
