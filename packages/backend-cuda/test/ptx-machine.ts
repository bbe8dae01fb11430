/**
 * A machine for the PTX that the printer makes: runs a kernel block by block on the CPU, threads of a block in turns between barriers and shuffles.
 * Not fast, and not all of PTX: an instruction it does not know is an error. Approximate instructions are off by as much as the manual allows.
 */

import { bitsFloat, floatBits, floats, fromHalf, integers, nearest, predicates, saturate, toBrain, toHalf } from './ptx-operations';

type Kind = 'f' | 'r' | 'd' | 'p' | 'h';

interface Registers {
  readonly f: Float32Array;
  readonly r: Int32Array;
  /** 64-bit values; addresses are small. */
  readonly d: Float64Array;
  readonly p: Uint8Array;
  readonly h: Uint16Array;
}

interface Thread {
  readonly registers: Registers;
  readonly id: number;
  at: number;
  done: boolean;
}

interface Block {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly shared: DataView;
}

type Execute = (t: Thread, block: Block) => void;

interface Instruction {
  readonly text: string;
  readonly kind: 'plain' | 'branch' | 'barrier' | 'shuffle' | 'return';
  readonly holds: (t: Thread) => boolean;
  readonly execute: Execute;
  readonly target: number;
}

export interface Launch {
  readonly grid: readonly [number, number, number];
  readonly threads: number;
  /** Addresses in `memory`. */
  readonly parameters: readonly number[];
}

export class PtxMachine {
  private readonly instructions: Instruction[] = [];
  private readonly counts: Record<Kind, number> = { f: 0, r: 0, d: 0, p: 0, h: 0 };
  private readonly labels = new Map<string, number>();
  private sharedBytes = 0;
  /** Addresses that the first parameter, p0, is a list of. */
  private readonly listed: number;
  private parameters: readonly number[] = [];

  constructor(
    text: string,
    private readonly memory: DataView,
  ) {
    this.listed = Number(text.match(/\.param [^,)]*\bp0\[(\d+)\]/)?.[1] ?? 8) / 8;
    const body = text.slice(text.indexOf('{') + 1, text.lastIndexOf('}'));
    const lines = body.split('\n').map((line) => line.trim()).filter(Boolean);
    let at = 0;
    for (const line of lines) {
      if (line.endsWith(':')) this.labels.set(line.slice(0, -1), at);
      else if (!line.startsWith('.') && !line.startsWith('//')) at++;
    }
    for (const line of lines) {
      const registers = line.match(/^\.reg \.\w+ %(\w)<(\d+)>;/);
      const shared = line.match(/^\.shared .*\[(\d+)\];/);
      if (registers) this.counts[registers[1] as Kind] = Number(registers[2]);
      else if (shared) this.sharedBytes = Number(shared[1]);
      else if (!line.endsWith(':') && !line.startsWith('//')) this.instructions.push(this.decode(line));
    }
  }

  run({ grid, threads, parameters }: Launch): void {
    this.parameters = parameters;
    for (let z = 0; z < grid[2]; z++) for (let y = 0; y < grid[1]; y++) for (let x = 0; x < grid[0]; x++) this.runBlock({ x, y, z, shared: new DataView(new ArrayBuffer(this.sharedBytes)) }, threads);
  }

  private runBlock(block: Block, count: number): void {
    const n = this.counts;
    const threads = Array.from({ length: count }, (_, id): Thread => ({
      registers: { f: new Float32Array(n.f), r: new Int32Array(n.r), d: new Float64Array(n.d), p: new Uint8Array(n.p), h: new Uint16Array(n.h) },
      id, at: 0, done: false,
    }));
    for (;;) {
      for (let first = 0; first < count; first += 32) this.runWarp(threads.slice(first, first + 32), block);
      const waiting = threads.filter((t) => !t.done);
      if (waiting.length === 0) return;
      if (waiting.length < count) throw new Error('a barrier was not reached by all threads');
      for (const t of waiting) t.at++;
    }
  }

  /** Runs a warp to the next barrier or to its end. */
  private runWarp(warp: readonly Thread[], block: Block): void {
    for (;;) {
      for (const t of warp) if (!t.done) this.runThread(t, block);
      const kinds = new Set(warp.map((t) => (t.done ? 'return' : this.instructions[t.at].kind)));
      if (!kinds.has('shuffle')) return;
      if (kinds.size > 1 || new Set(warp.map((t) => t.at)).size > 1 || warp.length < 32) throw new Error('a shuffle was not reached by all lanes');
      const { execute, text } = this.instructions[warp[0].at];
      const [result, source, offset] = operandsOf(text);
      const values = warp.map((t) => t.registers.r[index(source)]);
      warp.forEach((t, lane) => {
        execute(t, block);
        t.registers.r[index(result)] = values[lane ^ Number(offset)];
        t.at++;
      });
    }
  }

  private runThread(t: Thread, block: Block): void {
    const { instructions } = this;
    for (let steps = 0; ; steps++) {
      if (steps > 5e7) throw new Error('a thread does not end');
      const x = instructions[t.at];
      if (x.kind === 'plain') {
        if (x.holds(t)) x.execute(t, block);
        t.at++;
      } else if (x.kind === 'branch') t.at = x.holds(t) ? x.target : t.at + 1;
      else {
        if (x.kind === 'return') t.done = true;
        return;
      }
    }
  }

  private decode(line: string): Instruction {
    const [, guard, text] = line.match(/^(@!?%p\d+ )?(.*);$/) as RegExpMatchArray;
    let holds: Instruction['holds'] = () => true;
    if (guard) {
      const at = index(guard.trim());
      const wanted = guard.startsWith('@!') ? 0 : 1;
      holds = (t) => t.registers.p[at] === wanted;
    }
    const opcode = text.split(' ')[0];
    const operands = operandsOf(text);
    const make = (kind: Instruction['kind'], execute: Execute = () => {}, target = 0): Instruction => ({ text, kind, holds, execute, target });
    if (opcode === 'ret') return make('return');
    if (opcode === 'bra') return make('branch', undefined, this.labels.get(operands[0]));
    if (opcode === 'bar.sync') return make('barrier');
    if (opcode === 'shfl.sync.bfly.b32') return make('shuffle');
    return make('plain', this.plain(opcode, operands));
  }

  private plain(opcode: string, operands: readonly string[]): Execute {
    const [to, ...from] = operands;
    if (opcode === 'membar.gl') return () => {};
    if (opcode.startsWith('ld.') || opcode.startsWith('st.')) return this.move(opcode, operands);
    if (opcode in floats) return arithmetic('f', to, from.map(floatReader), floats[opcode]);
    if (opcode in integers) return arithmetic('r', to, from.map(integerReader), integers[opcode]);
    if (opcode in predicates) return arithmetic('p', to, from.map(opcode.endsWith('f32') ? floatReader : integerReader), (a, b) => Number(predicates[opcode](a, b)));
    const at = index(to);
    const readers = from.map(integerReader);
    switch (opcode) {
      case 'selp.f32':
      case 'selp.b32': {
        const kind = opcode === 'selp.f32' ? 'f' : 'r';
        const [x, y] = from.slice(0, 2).map(kind === 'f' ? floatReader : integerReader);
        const p = index(from[2]);
        return (t) => void (t.registers[kind][at] = t.registers.p[p] ? x(t) : y(t));
      }
      case 'and.pred':
        return (t) => void (t.registers.p[at] = t.registers.p[index(from[0])] & t.registers.p[index(from[1])]);
      case 'or.pred':
        return (t) => void (t.registers.p[at] = t.registers.p[index(from[0])] | t.registers.p[index(from[1])]);
      case 'xor.pred':
        return (t) => void (t.registers.p[at] = t.registers.p[index(from[0])] ^ t.registers.p[index(from[1])]);
      case 'not.pred':
        return (t) => void (t.registers.p[at] = 1 - t.registers.p[index(from[0])]);
      case 'mov.b16':
        return (t) => void (t.registers.h[at] = Number(from[0]));
      case 'mov.u32':
        if (from[0] === 'shared') return (t) => void (t.registers.r[at] = 0);
        return (t, block) => void (t.registers.r[at] = { '%tid.x': t.id, '%ctaid.x': block.x, '%ctaid.y': block.y, '%ctaid.z': block.z }[from[0]] as number);
      case 'mov.b32':
        return movWord(to, from);
      case 'mov.b64':
        return (t) => void (t.registers.d[at] = 0);
      case 'cvt.u64.u32':
        return (t) => void (t.registers.d[at] = readers[0](t) >>> 0);
      case 'cvta.to.global.u64':
        return (t) => void (t.registers.d[at] = t.registers.d[index(from[0])]);
      case 'cvt.s64.s32':
        return (t) => void (t.registers.d[at] = readers[0](t));
      case 'mad.wide.s32':
        return (t) => void (t.registers.d[at] = readers[0](t) * readers[1](t) + t.registers.d[index(from[2])]);
      case 'mad.wide.u32':
        return (t) => void (t.registers.d[at] = (readers[0](t) >>> 0) * readers[1](t) + t.registers.d[index(from[2])]);
      case 'mad.lo.s64':
        return (t) => void (t.registers.d[at] = t.registers.d[index(from[0])] * Number(from[1]) + t.registers.d[index(from[2])]);
      case 'add.s64':
        return (t) => void (t.registers.d[at] = t.registers.d[index(from[0])] + (kindOf(from[1]) === 'd' ? t.registers.d[index(from[1])] : Number(from[1])));
      case 'cvt.rn.f32.s32':
        return (t) => void (t.registers.f[at] = readers[0](t));
      case 'cvt.rzi.s32.f32':
        return (t) => void (t.registers.r[at] = saturate(Math.trunc(floatReader(from[0])(t))));
      case 'cvt.rni.s32.f32':
        return (t) => void (t.registers.r[at] = saturate(nearest(floatReader(from[0])(t))));
      case 'cvt.u32.u16':
        return (t) => void (t.registers.r[at] = t.registers.h[index(from[0])]);
      case 'cvt.f32.f16':
        return (t) => void (t.registers.f[at] = fromHalf(t.registers.h[index(from[0])]));
      case 'cvt.rn.f16.f32':
        return (t) => void (t.registers.h[at] = toHalf(floatReader(from[0])(t)));
      case 'cvt.rn.bf16.f32':
        return (t) => void (t.registers.h[at] = toBrain(floatReader(from[0])(t)));
      case 'atom.global.inc.u32': {
        const address = addressReader(from[0]);
        return (t) => {
          const where = address(t);
          const old = this.memory.getUint32(where, true);
          t.registers.r[at] = old;
          this.memory.setUint32(where, old >= readers[1](t) ? 0 : old + 1, true);
        };
      }
      default:
        throw new Error(`the machine does not know ${opcode}`);
    }
  }

  /** ld and st: global, shared or parameters; one to four elements. */
  private move(opcode: string, operands: readonly string[]): Execute {
    const load = opcode.startsWith('ld.');
    const [where, what] = load ? [operands[1], operands[0]] : operands;
    const parts = opcode.split('.');
    if (parts[1] === 'param' && where.includes('%')) {
      // A list of addresses: parameter space starts with it.
      const address = addressReader(where);
      return (t) => void (t.registers.d[index(what)] = this.parameters[address(t) / 8]);
    }
    if (parts[1] === 'param') {
      const named = Number((where.match(/p(\d+)/) as RegExpMatchArray)[1]);
      const parameter = named === 0 ? 0 : this.listed + named - 1;
      return (t) => void (t.registers.d[index(what)] = this.parameters[parameter]);
    }
    const shared = parts.includes('shared');
    const half = opcode.endsWith('b16');
    const elements = what.startsWith('{') ? what.slice(1, -1).split(', ') : [what];
    const address = addressReader(where);
    const bytes = elements.length * (half ? 2 : 4);
    const readers = load ? [] : elements.map((e) => (kindOf(e) === 'f' || e.startsWith('0f') ? floatReader(e) : integerReader(e)));
    return (t, block) => {
      const view = shared ? block.shared : this.memory;
      const at = address(t);
      if (at % bytes !== 0) throw new Error(`${opcode} at ${at}: not aligned to ${bytes}`);
      if (at < 0 || at + bytes > view.byteLength) throw new Error(`${opcode} at ${at}: outside the memory`);
      elements.forEach((e, i) => {
        const element = at + i * (half ? 2 : 4);
        if (!load) {
          const value = kindOf(e) === 'h' ? t.registers.h[index(e)] : readers[i](t);
          if (half) view.setUint16(element, value, true);
          else if (kindOf(e) === 'f' || e.startsWith('0f')) view.setFloat32(element, value, true);
          else view.setInt32(element, value, true);
        } else if (half) t.registers.h[index(e)] = view.getUint16(element, true);
        else if (kindOf(e) === 'f') t.registers.f[index(e)] = view.getFloat32(element, true);
        else t.registers.r[index(e)] = view.getInt32(element, true);
      });
    };
  }
}

/** Operands of an instruction; a vector in braces is one. */
function operandsOf(text: string): string[] {
  const rest = text.slice(text.indexOf(' ') + 1);
  return text.includes(' ') ? (rest.match(/\{[^}]*\}|\[[^\]]*\]|[^,\s]+/g) as string[]) : [];
}

const index = (register: string): number => Number((register.match(/%\w(\d+)/) as RegExpMatchArray)[1]);
const kindOf = (operand: string): Kind | null => (operand.startsWith('%') ? (operand[1] as Kind) : null);

function floatReader(operand: string): (t: Thread) => number {
  if (operand.startsWith('0f')) {
    const value = bitsFloat(Number.parseInt(operand.slice(2), 16) | 0);
    return () => value;
  }
  if (kindOf(operand) !== 'f') throw new Error(`${operand} is no float`);
  const at = index(operand);
  return (t) => t.registers.f[at];
}

function integerReader(operand: string): (t: Thread) => number {
  const kind = kindOf(operand);
  if (kind === 'r') {
    const at = index(operand);
    return (t) => t.registers.r[at];
  }
  const value = Number(operand);
  return () => value;
}

/** `[%d3+16]` or `[%r3+16]` */
function addressReader(operand: string): (t: Thread) => number {
  const [, kind, at, offset] = operand.match(/^\[%(\w)(\d+)(?:\+(-?\d+))?\]$/) as RegExpMatchArray;
  return (t) => t.registers[kind as 'd' | 'r'][Number(at)] + Number(offset ?? 0);
}

function arithmetic(kind: 'f' | 'r' | 'p', to: string, readers: readonly ((t: Thread) => number)[], f: (...x: number[]) => number): Execute {
  if (kindOf(to) !== kind) throw new Error(`${to} has the wrong type`);
  const at = index(to);
  const [a, b, c] = readers;
  if (readers.length === 1) return (t) => void (t.registers[kind][at] = f(a(t)));
  if (readers.length === 2) return (t) => void (t.registers[kind][at] = f(a(t), b(t)));
  return (t) => void (t.registers[kind][at] = f(a(t), b(t), c(t)));
}

/** mov.b32 between floats, integers and pairs of halves. */
function movWord(to: string, [from]: readonly string[]): Execute {
  if (to.startsWith('{')) {
    const [low, high] = to.slice(1, -1).split(', ').map(index);
    return (t) => {
      const value = t.registers.r[index(from)];
      t.registers.h[low] = value & 0xffff;
      t.registers.h[high] = value >>> 16;
    };
  }
  if (from.startsWith('{')) {
    const [low, high] = from.slice(1, -1).split(', ').map(index);
    return (t) => void (t.registers.r[index(to)] = t.registers.h[low] | (t.registers.h[high] << 16));
  }
  const at = index(to);
  const isFloat = kindOf(from) === 'f' || from.startsWith('0f');
  if (kindOf(to) === 'f') {
    if (isFloat) return (t) => void (t.registers.f[at] = floatReader(from)(t));
    return (t) => void (t.registers.f[at] = bitsFloat(integerReader(from)(t)));
  }
  if (isFloat) return (t) => void (t.registers.r[at] = floatBits(floatReader(from)(t)));
  return (t) => void (t.registers.r[at] = integerReader(from)(t));
}
