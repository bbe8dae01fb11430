import { DeviceError } from '../../errors';
import type { ComputeType } from '../../dtype';
import type { Instruction } from '../../compile/kernel';
import type { V128 } from './expression';
import * as integer from './integer-math';
import type { VectorMath } from './math';
import { f32x4, i32, i32x4, v128 } from './operators';
import { cast } from './storage';
import { pow, sinCos } from './wide-math';

/** An operand: its lanes, its type, and its value where it is a constant. */
export interface Operand {
  readonly lanes: V128;
  readonly dtype: ComputeType;
  readonly constant?: number;
}

/** Instructions that only combine their operands: everything but load, index, const, reduced and threefry. */
type Combining = Extract<Instruction, { readonly args: readonly number[] }>;

type Table = Partial<Record<string, (a: V128, b: V128, c: V128) => V128>>;

const floatBinary: Table = {
  add: f32x4.add,
  sub: f32x4.sub,
  mul: f32x4.mul,
  div: f32x4.div,
  min: f32x4.min,
  max: f32x4.max,
  lt: f32x4.lt,
  le: f32x4.le,
  eq: f32x4.eq,
  ne: f32x4.ne,
};
const intBinary: Table = {
  add: i32x4.add,
  sub: i32x4.sub,
  mul: i32x4.mul,
  min: i32x4.minS,
  max: i32x4.maxS,
  lt: i32x4.ltS,
  le: i32x4.leS,
  eq: i32x4.eq,
  ne: i32x4.ne,
  and: v128.and,
  or: v128.or,
  xor: v128.xor,
};
/** On masks: false < true. */
const boolBinary: Table = {
  and: v128.and,
  or: v128.or,
  xor: v128.xor,
  ne: v128.xor,
  eq: (a, b) => v128.not(v128.xor(a, b)),
  lt: (a, b) => v128.andnot(b, a),
  le: (a, b) => v128.or(b, v128.not(a)),
  min: v128.and,
  max: v128.or,
  add: v128.or,
  mul: v128.and,
};

/** Prints one instruction; gives its lanes as a local. */
export function printInstruction(math: VectorMath, instruction: Combining, args: readonly Operand[]): V128 {
  const { fn } = math;
  const [a, b, c] = args;
  if (instruction.op === 'where') return fn.let(v128.select(a.lanes, b.lanes, c.lanes));
  if (instruction.op === 'cast') return cast(fn, a.lanes, a.dtype, instruction.to);
  const result = args.length === 1 ? unary(math, instruction.op, a) : binary(math, instruction.op, a, b);
  if (result === null) throw new DeviceError(`cpu: ${instruction.op} is not defined for ${a.dtype}`);
  return result;
}

function unary(math: VectorMath, op: string, { lanes: x, dtype }: Operand): V128 | null {
  const { fn } = math;
  if (dtype === 'bool') return op === 'not' ? fn.let(v128.not(x)) : null;
  if (dtype === 'int32') {
    switch (op) {
      case 'neg':
        return fn.let(i32x4.neg(x));
      case 'abs':
        return fn.let(i32x4.abs(x));
      case 'sign':
        return fn.let(i32x4.maxS(i32x4.minS(x, fn.int(1)), fn.int(-1)));
      case 'not':
        return fn.let(v128.not(x));
      case 'floor':
        return x;
      default:
        return null;
    }
  }
  switch (op) {
    case 'neg':
      return fn.let(f32x4.neg(x));
    case 'abs':
      return fn.let(f32x4.abs(x));
    case 'sign':
      return sign(math, x);
    case 'exp':
      return math.exp(x);
    case 'expm1':
      return math.expm1(x);
    case 'log':
      return math.log(x);
    case 'log1p':
      return math.log1p(x);
    case 'sqrt':
      return fn.let(f32x4.sqrt(x));
    case 'rsqrt':
      return fn.let(f32x4.div(fn.float(1), f32x4.sqrt(x)));
    case 'reciprocal':
      return fn.let(f32x4.div(fn.float(1), x));
    case 'sin':
      return sinCos(math, x, 0);
    case 'cos':
      return sinCos(math, x, 1);
    case 'tanh':
      return math.tanh(x);
    case 'erf':
      return math.erf(x);
    case 'sigmoid':
      return math.sigmoid(x);
    case 'softplus':
      return math.softplus(x);
    case 'floor':
      return fn.let(f32x4.floor(x));
    default:
      return null;
  }
}

/** ±1 by the sign bit; zeros and NaN as they are. */
function sign({ fn }: VectorMath, x: V128): V128 {
  const unit = v128.or(v128.and(x, fn.int(-0x80000000)), fn.float(1));
  const nonzero = v128.or(f32x4.lt(x, fn.float(0)), f32x4.gt(x, fn.float(0)));
  return fn.let(v128.select(nonzero, unit, x));
}

function binary(math: VectorMath, op: string, a: Operand, b: Operand): V128 | null {
  const { fn } = math;
  if (a.dtype === 'float32' && (op === 'max' || op === 'min')) {
    // pmin and pmax give their first operand when it is NaN, and are one instruction: enough where the other one is a
    // number.
    const fast = op === 'max' ? f32x4.pmax : f32x4.pmin;
    if (b.constant !== undefined && !Number.isNaN(b.constant)) return fn.let(fast(a.lanes, b.lanes));
    if (a.constant !== undefined && !Number.isNaN(a.constant)) return fn.let(fast(b.lanes, a.lanes));
  }
  const table = a.dtype === 'float32' ? floatBinary : a.dtype === 'int32' ? intBinary : boolBinary;
  const simple = table[op];
  if (simple) return fn.let(simple(a.lanes, b.lanes, a.lanes));
  if (a.dtype === 'float32' && op === 'pow') return floatPower(math, a.lanes, b);
  if (a.dtype !== 'int32') return null;
  switch (op) {
    case 'div':
      return integer.divide(fn, a.lanes, b.lanes);
    case 'pow':
      return integer.power(fn, a.lanes, b.lanes);
    case 'shl':
      if (b.constant !== undefined) return fn.let(i32x4.shl(a.lanes, i32.const(b.constant)));
      return integer.shift(fn, a.lanes, b.lanes, i32.shl);
    case 'shr':
      if (b.constant !== undefined) return fn.let(i32x4.shrU(a.lanes, i32.const(b.constant)));
      return integer.shift(fn, a.lanes, b.lanes, i32.shrU);
    default:
      return null;
  }
}

/** Small constant exponents are products: exact, and tens of times faster. */
function floatPower(math: VectorMath, x: V128, y: Operand): V128 {
  const { fn } = math;
  switch (y.constant) {
    case 1:
      return x;
    case 2:
      return fn.let(f32x4.mul(x, x));
    case 3:
      return fn.let(f32x4.mul(f32x4.mul(x, x), x));
    case -1:
      return fn.let(f32x4.div(fn.float(1), x));
    default:
      return pow(math, x, y.lanes);
  }
}
