import type { ComputeType, DType, Instruction } from '@mamba-ts/tensor';
import { floatLiteral, type Operand, type PtxCode } from './code';
import * as math from './math';

/** A float32 or int32 register, or a predicate for bool. */
export interface Value {
  readonly dtype: ComputeType;
  readonly register: Operand;
}

const f32 = (register: Operand): Value => ({ dtype: 'float32', register });
const i32 = (register: Operand): Value => ({ dtype: 'int32', register });
const bool = (register: Operand): Value => ({ dtype: 'bool', register });

/** What an instruction with operands computes. Loads, indices and results of reductions are not its concern. */
export function compute(code: PtxCode, x: Instruction, args: readonly Value[]): Value {
  switch (x.op) {
    case 'const':
      return constant(code, x.value, x.dtype);
    case 'where':
      return where(code, args[0], args[1], args[2]);
    case 'cast':
      return cast(code, args[0], x.to);
    case 'threefry':
      return i32(threefry(code, args[0].register, args[1].register, args[2].register)[x.lane]);
    case 'load':
    case 'index':
    case 'reduced':
      throw new Error(`compute: ${x.op} has no operands`);
    default:
      return args.length === 1 ? unary(code, x.op as UnaryName, args[0]) : binary(code, x.op as BinaryName, args[0], args[1]);
  }
}

type UnaryName = Parameters<typeof floatUnary>[1];
type BinaryName = Extract<Instruction, { readonly args: readonly [number, number] }>['op'];

export function constant(code: PtxCode, value: number, dtype: ComputeType): Value {
  if (dtype === 'float32') return f32(floatLiteral(value));
  if (dtype === 'int32') return i32(String(value | 0));
  const zero = code.op('r', 'mov.b32', value === 0 ? 0 : 1);
  return bool(code.op('p', 'setp.ne.s32', zero, 0));
}

function where(code: PtxCode, condition: Value, x: Value, y: Value): Value {
  const p = condition.register;
  if (x.dtype === 'float32') return f32(code.op('f', 'selp.f32', x.register, y.register, p));
  if (x.dtype === 'int32') return i32(code.op('r', 'selp.b32', x.register, y.register, p));
  const chosen = code.op('p', 'and.pred', p, x.register);
  const other = code.op('p', 'and.pred', code.op('p', 'not.pred', p), y.register);
  return bool(code.op('p', 'or.pred', chosen, other));
}

/** A bool as 0 or 1 in an integer register. */
export function boolToInt(code: PtxCode, p: Operand): Operand {
  return code.op('r', 'selp.b32', 1, 0, p);
}

export function cast(code: PtxCode, x: Value, to: DType): Value {
  if (to === 'bool') {
    if (x.dtype === 'bool') return x;
    return bool(x.dtype === 'float32' ? code.op('p', 'setp.neu.f32', x.register, floatLiteral(0)) : code.op('p', 'setp.ne.s32', x.register, 0));
  }
  if (to === 'int32') {
    if (x.dtype === 'int32') return x;
    return i32(x.dtype === 'bool' ? boolToInt(code, x.register) : code.op('r', 'cvt.rzi.s32.f32', x.register));
  }
  let float = x.register;
  if (x.dtype === 'int32') float = code.op('f', 'cvt.rn.f32.s32', x.register);
  if (x.dtype === 'bool') float = code.op('f', 'selp.f32', floatLiteral(1), floatLiteral(0), x.register);
  if (to === 'float32') return f32(float);
  return f32(widen(code, narrow(code, float, to), to));
}

/** float32 → 16 bits, rounded to nearest even. */
export function narrow(code: PtxCode, x: Operand, to: 'bfloat16' | 'float16'): Operand {
  return code.op('h', to === 'bfloat16' ? 'cvt.rn.bf16.f32' : 'cvt.rn.f16.f32', x);
}

/** 16 bits → float32. */
export function widen(code: PtxCode, x: Operand, from: 'bfloat16' | 'float16'): Operand {
  if (from === 'float16') return code.op('f', 'cvt.f32.f16', x);
  return code.op('f', 'mov.b32', code.op('r', 'shl.b32', code.op('r', 'cvt.u32.u16', x), 16));
}

function unary(code: PtxCode, op: UnaryName, x: Value): Value {
  if (x.dtype === 'float32') return f32(floatUnary(code, op, x.register));
  if (x.dtype === 'bool') {
    if (op === 'not') return bool(code.op('p', 'not.pred', x.register));
    return cast(code, unary(code, op, i32(boolToInt(code, x.register))), 'bool');
  }
  switch (op) {
    case 'neg':
      return i32(code.op('r', 'neg.s32', x.register));
    case 'abs':
      return i32(code.op('r', 'abs.s32', x.register));
    case 'sign':
      return i32(code.op('r', 'max.s32', code.op('r', 'min.s32', x.register, 1), -1));
    case 'floor':
      return x;
    case 'not':
      return i32(code.op('r', 'not.b32', x.register));
    default:
      throw new Error(`${op} has no meaning on int32`);
  }
}

function floatUnary(
  code: PtxCode,
  op: Exclude<Extract<Instruction, { readonly args: readonly [number] }>['op'], 'cast'>,
  x: Operand,
): Operand {
  switch (op) {
    case 'neg':
      return code.op('f', 'neg.f32', x);
    case 'abs':
      return code.op('f', 'abs.f32', x);
    case 'sign': {
      const one = code.op('f', 'copysign.f32', x, floatLiteral(1));
      return code.op('f', 'selp.f32', one, x, code.op('p', 'setp.ne.f32', x, floatLiteral(0)));
    }
    case 'exp':
      return math.exp(code, x);
    case 'expm1':
      return math.expm1(code, x);
    case 'log':
      return math.log(code, x);
    case 'log1p':
      return math.log1p(code, x);
    case 'sqrt':
      return code.op('f', 'sqrt.rn.f32', x);
    case 'rsqrt':
      return code.op('f', 'rsqrt.approx.f32', x);
    case 'reciprocal':
      return code.op('f', 'rcp.rn.f32', x);
    case 'sin':
      return math.sine(code, x, false);
    case 'cos':
      return math.sine(code, x, true);
    case 'tanh':
      return math.tanh(code, x);
    case 'erf':
      return math.erf(code, x);
    case 'sigmoid':
      return math.sigmoid(code, x);
    case 'softplus':
      return math.softplus(code, x);
    case 'floor':
      return code.op('f', 'cvt.rmi.f32.f32', x);
    case 'not':
      throw new Error('not has no meaning on float32');
  }
}

const comparisons = { lt: 'lt', le: 'le', eq: 'eq', ne: 'ne' } as const;
const bitwise = { and: 'and', or: 'or', xor: 'xor' } as const;

function binary(code: PtxCode, op: BinaryName, x: Value, y: Value): Value {
  if (op in comparisons) return bool(compare(code, op as keyof typeof comparisons, x, y));
  if (x.dtype === 'float32') return f32(floatBinary(code, op, x.register, y.register));
  if (x.dtype === 'int32') return i32(integerBinary(code, op, x.register, y.register));
  if (op in bitwise) return bool(code.op('p', `${op}.pred`, x.register, y.register));
  const [a, b] = [x, y].map((v) => boolToInt(code, v.register));
  return cast(code, i32(integerBinary(code, op, a, b)), 'bool');
}

function compare(code: PtxCode, op: keyof typeof comparisons, x: Value, y: Value): Operand {
  // Unequal is true where either is NaN, all others are false.
  if (x.dtype === 'float32') return code.op('p', `setp.${op === 'ne' ? 'neu' : op}.f32`, x.register, y.register);
  const [a, b] = x.dtype === 'bool' ? [boolToInt(code, x.register), boolToInt(code, y.register)] : [x.register, y.register];
  return code.op('p', `setp.${op}.s32`, a, b);
}

function floatBinary(code: PtxCode, op: BinaryName, x: Operand, y: Operand): Operand {
  switch (op) {
    // Without .rn the assembler may contract a product and a sum into one rounding.
    case 'add':
    case 'sub':
    case 'mul':
      return code.op('f', `${op}.f32`, x, y);
    case 'div':
      return code.op('f', 'div.rn.f32', x, y);
    case 'min':
    case 'max':
      return code.op('f', `${op}.NaN.f32`, x, y);
    case 'pow':
      return math.pow(code, x, y);
    default:
      throw new Error(`${op} has no meaning on float32`);
  }
}

function integerBinary(code: PtxCode, op: BinaryName, x: Operand, y: Operand): Operand {
  switch (op) {
    case 'add':
    case 'sub':
    case 'min':
    case 'max':
      return code.op('r', `${op}.s32`, x, y);
    case 'mul':
      return code.op('r', 'mul.lo.s32', x, y);
    case 'and':
    case 'or':
    case 'xor':
      return code.op('r', `${op}.b32`, x, y);
    case 'shl':
    case 'shr':
      // Amounts count modulo 32, as in JavaScript.
      return code.op('r', op === 'shl' ? 'shl.b32' : 'shr.u32', x, code.op('r', 'and.b32', y, 31));
    case 'div':
      return divide(code, x, y);
    case 'pow':
      return integerPower(code, x, y);
    default:
      throw new Error(`${op} has no meaning on int32`);
  }
}

/** Truncated; 0 for a divisor of 0; the one quotient that overflows wraps. */
function divide(code: PtxCode, x: Operand, y: Operand): Operand {
  const zero = code.op('p', 'setp.eq.s32', y, 0);
  const minusOne = code.op('p', 'setp.eq.s32', y, -1);
  const harmless = code.op('p', 'or.pred', zero, minusOne);
  const quotient = code.op('r', 'div.s32', x, code.op('r', 'selp.b32', 1, y, harmless));
  const negated = code.op('r', 'selp.b32', code.op('r', 'neg.s32', x), quotient, minusOne);
  return code.op('r', 'selp.b32', 0, negated, zero);
}

/** By squaring, modulo 2^32. Negative exponents leave what survives truncation: powers of 1 and -1. */
function integerPower(code: PtxCode, x: Operand, y: Operand): Operand {
  const [result, base, left] = [code.op('r', 'mov.b32', 1), code.op('r', 'mov.b32', x), code.op('r', 'abs.s32', y)];
  const [start, end] = [code.newLabel(), code.newLabel()];
  code.label(start);
  const done = code.op('p', 'setp.eq.s32', left, 0);
  code.do('bra', [end], done);
  const odd = code.op('p', 'setp.ne.s32', code.op('r', 'and.b32', left, 1), 0);
  code.do('mul.lo.s32', [result, result, base], odd);
  code.do('mul.lo.s32', [base, base, base]);
  code.do('shr.u32', [left, left, 1]);
  code.do('bra', [start]);
  code.label(end);
  const small = code.op('p', 'setp.le.u32', code.op('r', 'add.s32', x, 1), 2);
  const whole = code.op('p', 'setp.ne.s32', x, 0);
  const unit = code.op('p', 'and.pred', small, whole);
  const kept = code.op('r', 'selp.b32', result, 0, unit);
  return code.op('r', 'selp.b32', kept, result, code.op('p', 'setp.lt.s32', y, 0));
}

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** Threefry-2x32, 20 rounds, counter word 1 zero: both output words. */
function threefry(code: PtxCode, key0: Operand, key1: Operand, counter: Operand): [Operand, Operand] {
  const add = (a: Operand, b: Operand | number): Operand => code.op('r', 'add.s32', a, b);
  const keys = [key0, key1, code.op('r', 'xor.b32', code.op('r', 'xor.b32', key0, key1), 0x1bd11bda)];
  let x = add(counter, key0);
  let y = keys[1];
  for (let round = 0; round < 20; round++) {
    x = add(x, y);
    const r = rotations[round % 8];
    // shf.l.wrap with one register twice is a rotation
    y = code.op('r', 'xor.b32', code.op('r', 'shf.l.wrap.b32', y, y, r), x);
    if (round % 4 !== 3) continue;
    const k = (round + 1) / 4;
    x = add(x, keys[k % 3]);
    y = add(add(y, keys[(k + 1) % 3]), k);
  }
  return [x, y];
}
