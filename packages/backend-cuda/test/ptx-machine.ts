/**
 * A machine for the PTX that the printer makes: runs a kernel block by block on the CPU, threads of a block in turns between barriers and shuffles.
 * Not fast, and not all of PTX: an instruction it does not know is an error. Approximate instructions are off by as much as the manual allows.
 */

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

const word = new DataView(new ArrayBuffer(8));

function floatBits(x: number): number {
  word.setFloat32(0, x);
  return word.getInt32(0);
}

function bitsFloat(x: number): number {
  word.setInt32(0, x);
  return word.getFloat32(0);
}

/** Off by 2^-22 relative, up or down. */
function approximate(x: number, input: number): number {
  return Math.fround(x * (1 + (floatBits(input) & 1 ? 2 ** -22.4 : -(2 ** -22.4))));
}

const flush = (x: number): number => (Math.abs(x) < 2 ** -126 ? 0 * x : x);

/** Rounds to the nearest integer, ties to even. */
function nearest(x: number): number {
  if (!Number.isFinite(x)) return x;
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const saturate = (x: number): number => (Number.isNaN(x) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, x)));

function toHalf(x: number): number {
  const out = new Float16Array(1);
  out[0] = x;
  return new Uint16Array(out.buffer)[0];
}

function fromHalf(h: number): number {
  return new Float16Array(Uint16Array.of(h).buffer)[0];
}

function toBrain(x: number): number {
  const u = floatBits(x) >>> 0;
  return Number.isNaN(x) ? 0x7fff : ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

declare class Float16Array extends Array<number> {
  constructor(source: number | ArrayBufferLike);
  readonly buffer: ArrayBuffer;
}

const floats: Record<string, (...x: number[]) => number> = {
  'add.f32': (a, b) => a + b,
  'add.rn.f32': (a, b) => a + b,
  'sub.f32': (a, b) => a - b,
  'sub.rn.f32': (a, b) => a - b,
  'mul.f32': (a, b) => a * b,
  'mul.rn.f32': (a, b) => a * b,
  'div.rn.f32': (a, b) => a / b,
  'fma.rn.f32': (a, b, c) => a * b + c,
  'neg.f32': (a) => -a,
  'abs.f32': Math.abs,
  'min.NaN.f32': Math.min,
  'max.NaN.f32': Math.max,
  'min.f32': (a, b) => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.min(a, b)),
  'max.f32': (a, b) => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.max(a, b)),
  'copysign.f32': (a, b) => (floatBits(a) < 0 ? -Math.abs(b) : Math.abs(b)),
  'sqrt.rn.f32': Math.sqrt,
  'rcp.rn.f32': (a) => 1 / a,
  'rcp.approx.ftz.f32': (a) => flush(approximate(1 / flush(a), a)),
  'rsqrt.approx.f32': (a) => approximate(1 / Math.sqrt(a), a),
  'ex2.approx.ftz.f32': (a) => flush(approximate(2 ** flush(a), a)),
  'sin.approx.f32': Math.sin,
  'cos.approx.f32': Math.cos,
  'cvt.rni.f32.f32': nearest,
  'cvt.rmi.f32.f32': Math.floor,
  'cvt.rzi.f32.f32': Math.trunc,
};

const integers: Record<string, (...x: number[]) => number> = {
  'add.s32': (a, b) => a + b,
  'sub.s32': (a, b) => a - b,
  'sub.u32': (a, b) => a - b,
  'mul.lo.s32': Math.imul,
  'mul.lo.u32': Math.imul,
  'mad.lo.s32': (a, b, c) => Math.imul(a, b) + c,
  'mad.lo.u32': (a, b, c) => Math.imul(a, b) + c,
  'div.s32': (a, b) => Math.trunc(a / b),
  'div.u32': (a, b) => Math.floor((a >>> 0) / (b >>> 0)),
  'min.s32': Math.min,
  'max.s32': Math.max,
  'min.u32': (a, b) => Math.min(a >>> 0, b >>> 0),
  'neg.s32': (a) => -a,
  'abs.s32': Math.abs,
  'and.b32': (a, b) => a & b,
  'or.b32': (a, b) => a | b,
  'xor.b32': (a, b) => a ^ b,
  'not.b32': (a) => ~a,
  'shl.b32': (a, b) => (b > 31 ? 0 : a << b),
  'shr.u32': (a, b) => (b > 31 ? 0 : a >>> b),
  'shf.l.wrap.b32': (low, high, n) => (high << (n & 31)) | (n & 31 ? low >>> (32 - (n & 31)) : 0),
};

const predicates: Record<string, (a: number, b: number) => boolean> = {
  'setp.lt.f32': (a, b) => a < b,
  'setp.gt.f32': (a, b) => a > b,
  'setp.le.f32': (a, b) => a <= b,
  'setp.eq.f32': (a, b) => a === b,
  'setp.ne.f32': (a, b) => a < b || a > b,
  'setp.neu.f32': (a, b) => a !== b,
  'setp.nan.f32': (a, b) => Number.isNaN(a) || Number.isNaN(b),
  'setp.lt.s32': (a, b) => a < b,
  'setp.le.s32': (a, b) => a <= b,
  'setp.eq.s32': (a, b) => a === b,
  'setp.ne.s32': (a, b) => a !== b,
  'setp.lt.u32': (a, b) => a >>> 0 < b >>> 0,
  'setp.le.u32': (a, b) => a >>> 0 <= b >>> 0,
  'setp.ge.u32': (a, b) => a >>> 0 >= b >>> 0,
};

export interface Launch {
  readonly grid: readonly [number, number];
  readonly threads: number;
  /** Addresses in `memory`. */
  readonly parameters: readonly number[];
}

export class PtxMachine {
  private readonly instructions: Instruction[] = [];
  private readonly counts: Record<Kind, number> = { f: 0, r: 0, d: 0, p: 0, h: 0 };
  private readonly labels = new Map<string, number>();
  private sharedBytes = 0;
  private parameters: readonly number[] = [];

  constructor(
    text: string,
    private readonly memory: DataView,
  ) {
    const body = text.slice(text.indexOf('{') + 1, text.lastIndexOf('}'));
    const lines = body.split('\n').map((line) => line.trim()).filter(Boolean);
    let at = 0;
    for (const line of lines) {
      if (line.endsWith(':')) this.labels.set(line.slice(0, -1), at);
      else if (!line.startsWith('.')) at++;
    }
    for (const line of lines) {
      const registers = line.match(/^\.reg \.\w+ %(\w)<(\d+)>;/);
      const shared = line.match(/^\.shared .*\[(\d+)\];/);
      if (registers) this.counts[registers[1] as Kind] = Number(registers[2]);
      else if (shared) this.sharedBytes = Number(shared[1]);
      else if (!line.endsWith(':')) this.instructions.push(this.decode(line));
    }
  }

  run({ grid, threads, parameters }: Launch): void {
    this.parameters = parameters;
    for (let y = 0; y < grid[1]; y++) for (let x = 0; x < grid[0]; x++) this.runBlock({ x, y, shared: new DataView(new ArrayBuffer(this.sharedBytes)) }, threads);
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
        return (t, block) => void (t.registers.r[at] = { '%tid.x': t.id, '%ctaid.x': block.x, '%ctaid.y': block.y }[from[0]] as number);
      case 'mov.b32':
        return movWord(to, from);
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
        return (t) => void (t.registers.d[at] = t.registers.d[index(from[0])] + Number(from[1]));
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
    if (parts[1] === 'param') {
      const parameter = Number((where.match(/p(\d+)/) as RegExpMatchArray)[1]);
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
