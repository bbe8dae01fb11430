import { type Access, type ComputeType, DeviceError, type DType, type Guard, type Instruction, type Kernel } from '@mamba-ts/tensor';
import type { ElementType } from '../pass';
import { expression, literal } from './instruction';

/** A buffer of a kernel as the code sees it. */
export interface BufferBinding {
  readonly name: string;
  readonly type: ElementType;
}

/**
 * Elements that one invocation handles side by side.
 * - 'inner': `count` neighbours along dimension `dim`, whose size is a multiple of `count`; lane 0 stands at a multiple of `count`;
 * - 'each': every lane has coordinates of its own.
 */
export type Lanes = { readonly kind: 'inner'; readonly count: number; readonly dim: number } | { readonly kind: 'each'; readonly count: number };

export const oneLane: Lanes = { kind: 'inner', count: 1, dim: -1 };

const isHalf = (dtype: DType): boolean => dtype === 'bfloat16' || dtype === 'float16';

/** Do the lanes of an access lie next to each other, the first at a multiple of their number, all on the same side of every guard? */
export function sideBySide(access: Access, lanes: Lanes): boolean {
  const { count } = lanes;
  if (lanes.kind === 'each' || count === 1 || lanes.dim < 0) return false;
  return (
    access.strides[lanes.dim] === 1 &&
    access.offset % count === 0 &&
    access.strides.every((s, d) => d === lanes.dim || s % count === 0) &&
    access.guards.every((g) => g.strides[lanes.dim] === 0)
  );
}

/** How a buffer is declared, given everything that the kernel does with it. */
export function elementType(accesses: readonly Access[], stores: readonly Access[], lanes: Lanes): ElementType {
  const { dtype } = [...accesses, ...stores][0];
  if (dtype === 'int32') return 'i32';
  if (dtype === 'bool') return 'u32';
  const all = [...accesses, ...stores];
  if (isHalf(dtype)) return stores.every((a) => wholeWords(a, lanes)) ? 'u32' : 'atomic<u32>';
  return lanes.count === 4 && all.every((a) => sideBySide(a, lanes)) ? 'vec4<f32>' : 'f32';
}

/** Does every invocation write both halves of each word it touches? */
function wholeWords(store: Access, lanes: Lanes): boolean {
  if (lanes.count % 2 !== 0) return false;
  return lanes.kind === 'each' || sideBySide(store, lanes);
}

/** Prints the straight-line part of a kernel: loads, instructions, stores. */
export class BodyPrinter {
  readonly lines: string[] = [];
  private readonly names: string[][] = [];
  private readonly types: ComputeType[] = [];
  private readonly varies: boolean[] = [];
  private next = 0;

  constructor(
    private readonly kernel: Kernel,
    /** Of each buffer number; null where `given` provides the value. */
    private readonly buffers: readonly (BufferBinding | null)[],
    private readonly lanes: Lanes,
    /** Name of the loop index of dimension `d` (an i32); in 'each' mode of one lane. */
    private readonly index: (d: number, lane: number) => string,
    /** Values that are in registers already: reductions by number, or buffer 0 of an epilogue by lane. */
    private readonly given: { readonly reduced?: (reduce: number) => string; readonly loaded?: (lane: number) => string } = {},
    /** Keeps names of several printers in one function apart. */
    private readonly prefix: string = 'v',
  ) {}

  /** Values of `list`, the first of which has number `first`. */
  instructions(list: readonly Instruction[], first: number): void {
    list.forEach((x, i) => {
      this.instruction(x, first + i);
    });
  }

  /** Names of a value, one per lane (one for all lanes if it does not differ). */
  value(v: number, lane: number): string {
    const names = this.names[v];
    return names[Math.min(lane, names.length - 1)];
  }

  private instruction(x: Instruction, v: number): void {
    const args = 'args' in x ? x.args : [];
    this.types[v] = x.dtype;
    this.varies[v] = this.differs(x);
    if (x.op === 'reduced') {
      this.names[v] = [this.given.reduced?.(x.reduce) ?? this.missing('a reduction')];
      return;
    }
    if (x.op === 'load') {
      this.names[v] = this.load(this.kernel.loads[x.load], this.varies[v]);
      return;
    }
    const count = this.varies[v] ? this.lanes.count : 1;
    this.names[v] = Array.from({ length: count }, (_, lane) => {
      if (x.op === 'const') return this.let(literal(x.value, x.dtype));
      if (x.op === 'index') return this.let(this.affine(x, lane));
      return this.let(expression(x, args.map((a) => this.value(a, lane)), args.map((a) => this.types[a])));
    });
  }

  private differs(x: Instruction): boolean {
    const { lanes } = this;
    if (lanes.count === 1) return false;
    if ('args' in x) return x.args.some((a) => this.varies[a]);
    if (x.op === 'const' || x.op === 'reduced') return false;
    if (lanes.kind === 'each') return true;
    const affine = x.op === 'load' ? this.kernel.loads[x.load] : x;
    if (x.op === 'load' && this.buffers[this.kernel.loads[x.load].buffer] === null) return true;
    return affine.strides[lanes.dim] !== 0 || ('guards' in affine && affine.guards.some((g) => g.strides[lanes.dim] !== 0));
  }

  private load(access: Access, varies: boolean): string[] {
    const { lanes } = this;
    const buffer = this.buffers[access.buffer];
    if (buffer === null) {
      return Array.from({ length: lanes.count }, (_, lane) => this.given.loaded?.(lane) ?? this.missing('a register'));
    }
    const count = varies ? lanes.count : 1;
    if (varies && sideBySide(access, lanes)) {
      const guard = this.guard(access.guards, 0);
      if (buffer.type === 'vec4<f32>') {
        const vector = this.guarded(`${buffer.name}[${this.affine(access, 0)} / 4i]`, 'vec4<f32>', guard);
        return ['x', 'y', 'z', 'w'].map((c) => `${vector}.${c}`);
      }
      if (isHalf(access.dtype) && buffer.type === 'u32') {
        const at = this.let(`${this.affine(access, 0)} / 2i`);
        const words = Array.from({ length: count / 2 }, (_, i) => this.guarded(`${buffer.name}[${at} + ${i}i]`, 'u32', guard));
        return Array.from({ length: count }, (_, lane) => this.let(fromWord(access.dtype, words[lane >> 1], (lane & 1).toString())));
      }
    }
    return Array.from({ length: count }, (_, lane) => this.loadOne(access, buffer, lane));
  }

  private loadOne(access: Access, buffer: BufferBinding, lane: number): string {
    const at = this.affine(access, lane);
    const guard = this.guard(access.guards, lane);
    if (isHalf(access.dtype)) {
      const position = this.let(at);
      const word = buffer.type === 'u32' ? `${buffer.name}[${position} / 2i]` : `atomicLoad(&${buffer.name}[${position} / 2i])`;
      return this.let(fromWord(access.dtype, this.guarded(word, 'u32', guard), `u32(${position} & 1i)`));
    }
    if (access.dtype === 'bool') return this.let(`${this.guarded(`${buffer.name}[${at}]`, 'u32', guard)} != 0u`);
    if (buffer.type === 'vec4<f32>') throw new DeviceError('webgpu: a scalar load of a buffer of vectors');
    return this.guarded(`${buffer.name}[${at}]`, access.dtype === 'int32' ? 'i32' : 'f32', guard);
  }

  /** A value that is read only where the guard holds, else zero. */
  private guarded(read: string, type: string, guard: string | null): string {
    if (guard === null) return this.let(read);
    const name = `${this.prefix}${this.next++}`;
    // The zero is written out: in a loop, an adapter was seen to keep the value of the turn before.
    this.lines.push(`var ${name} = ${type}(); if (${guard}) { ${name} = ${read}; }`);
    return name;
  }

  private guard(guards: readonly Guard[], lane: number): string | null {
    if (guards.length === 0) return null;
    return guards
      .map((g) => {
        // One comparison for both ends; no `&&`, which compilers turn into branches within branches.
        return `(bitcast<u32>(${this.affine(g, lane)}) < ${g.size}u)`;
      })
      .join(' & ');
  }

  /** offset + Σ strides · index, as i32. */
  private affine(a: { readonly offset: number; readonly strides: readonly number[] }, lane: number): string {
    const { lanes } = this;
    const shift = lanes.kind === 'inner' && lanes.dim >= 0 ? a.strides[lanes.dim] * lane : 0;
    const terms = a.strides.flatMap((s, d) => {
      if (s === 0 || this.kernel.domain[d] === 1) return [];
      const index = this.index(d, lane);
      return [s === 1 ? index : `${index} * ${s}i`];
    });
    const offset = a.offset + shift;
    if (offset !== 0 || terms.length === 0) terms.push(`${offset}i`);
    return terms.length === 1 ? terms[0] : `(${terms.join(' + ')})`;
  }

  /** Writes the stores of one phase. `condition`, if given, must hold. */
  stores(phase: 'body' | 'epilogue'): void {
    for (const { access, value, phase: own } of this.kernel.stores) if (own === phase) this.store(access, value);
  }

  private store(access: Access, value: number): void {
    const { lanes } = this;
    const buffer = this.buffers[access.buffer];
    if (buffer === null || access.guards.length > 0) throw new DeviceError('webgpu: a kernel has a guarded store, or one to a register');
    const at = this.affine(access, 0);
    const halves = isHalf(access.dtype);
    const values = Array.from({ length: lanes.count }, (_, lane) => this.value(value, lane));
    if (buffer.type === 'vec4<f32>') {
      this.lines.push(`${buffer.name}[${at} / 4i] = vec4<f32>(${values.join(', ')});`);
    } else if (halves && buffer.type === 'u32') {
      const position = this.let(`${at} / 2i`);
      for (let lane = 0; lane < lanes.count; lane += 2) {
        const [low, high] = [values[lane], values[lane + 1]].map((x) => toHalf(access.dtype, x));
        this.lines.push(`${buffer.name}[${position} + ${lane / 2}i] = ${low} | (${high} << 16u);`);
      }
    } else {
      values.forEach((x, lane) => this.storeOne(access, buffer, x, this.affine(access, lane)));
    }
  }

  private storeOne(access: Access, buffer: BufferBinding, x: string, at: string): void {
    if (isHalf(access.dtype)) {
      // Neighbours in the same word belong to other invocations: each clears and sets its own half.
      const position = this.let(at);
      const shift = this.let(`u32(${position} & 1i) * 16u`);
      this.lines.push(`atomicAnd(&${buffer.name}[${position} / 2i], ~(0xffffu << ${shift}));`);
      this.lines.push(`atomicOr(&${buffer.name}[${position} / 2i], ${toHalf(access.dtype, x)} << ${shift});`);
      return;
    }
    this.lines.push(`${buffer.name}[${at}] = ${access.dtype === 'bool' ? `select(0u, 1u, ${x})` : x};`);
  }

  private let(text: string): string {
    if (/^\w+$/.test(text) && !/^\d/.test(text)) return text;
    const name = `${this.prefix}${this.next++}`;
    this.lines.push(`let ${name} = ${text};`);
    return name;
  }

  private missing(what: string): never {
    throw new DeviceError(`webgpu: a kernel reads ${what} that it does not have`);
  }
}

function fromWord(dtype: DType, word: string, position: string): string {
  const half = position === '0' ? `${word} & 0xffffu` : position === '1' ? `${word} >> 16u` : `(${word} >> (${position} * 16u)) & 0xffffu`;
  return `from_${dtype}(${half})`;
}

function toHalf(dtype: DType, x: string): string {
  return `to_${dtype}(${x})`;
}
