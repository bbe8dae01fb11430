import type { BinaryOp, ComputeType, DType, Instruction, UnaryOp } from '@mamba-ts/tensor';
import { DeviceError } from '@mamba-ts/tensor';

/** WGSL type of values in registers. */
export const registerType: Record<ComputeType, string> = { float32: 'f32', int32: 'i32', bool: 'bool' };

/** A literal; NaN, infinities and the smallest int32 have none and come from calls. */
export function literal(value: number, dtype: ComputeType): string {
  if (dtype === 'bool') return value === 0 ? 'false' : 'true';
  if (dtype === 'int32') return value === -(2 ** 31) ? 'bitcast<i32>(0x80000000u)' : `${value | 0}i`;
  const x = Math.fround(value);
  if (Number.isNaN(x)) return 'nan()';
  if (!Number.isFinite(x)) return x > 0 ? 'infinity()' : '(-infinity())';
  if (Object.is(x, -0)) return 'bitcast<f32>(0x80000000u)';
  const text = x.toPrecision(9);
  return x < 0 ? `(${decimal(text)})` : decimal(text);
}

function decimal(text: string): string {
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

const floatUnary: Record<Exclude<UnaryOp, 'not'>, (x: string) => string> = {
  neg: (x) => `-${x}`,
  abs: (x) => `abs(${x})`,
  sign: (x) => `sign_f(${x})`,
  exp: (x) => `exp_f(${x})`,
  expm1: (x) => `expm1_f(${x})`,
  log: (x) => `log_f(${x})`,
  log1p: (x) => `log1p_f(${x})`,
  sqrt: (x) => `sqrt(${x})`,
  rsqrt: (x) => `rsqrt_f(${x})`,
  reciprocal: (x) => `1.0f / ${x}`,
  sin: (x) => `sin_f(${x})`,
  cos: (x) => `cos_f(${x})`,
  tanh: (x) => `tanh_f(${x})`,
  erf: (x) => `erf_f(${x})`,
  sigmoid: (x) => `sigmoid_f(${x})`,
  softplus: (x) => `softplus_f(${x})`,
  floor: (x) => `floor(${x})`,
};

const integerUnary: Partial<Record<UnaryOp, (x: string) => string>> = {
  neg: (x) => `-${x}`,
  abs: (x) => `abs(${x})`,
  sign: (x) => `sign(${x})`,
  floor: (x) => x,
  not: (x) => `~${x}`,
};

/** `ne` of floats is a call: compilers may take NaN for equal to everything. */
const comparisons: Partial<Record<BinaryOp, string>> = { lt: '<', le: '<=', eq: '==', ne: '!=' };

const floatBinary: Partial<Record<BinaryOp, (x: string, y: string) => string>> = {
  add: (x, y) => `${x} + ${y}`,
  sub: (x, y) => `${x} - ${y}`,
  mul: (x, y) => `${x} * ${y}`,
  div: (x, y) => `${x} / ${y}`,
  min: (x, y) => `min_f(${x}, ${y})`,
  max: (x, y) => `max_f(${x}, ${y})`,
  pow: (x, y) => `pow_f(${x}, ${y})`,
};

const integerBinary: Partial<Record<BinaryOp, (x: string, y: string) => string>> = {
  add: (x, y) => `${x} + ${y}`,
  sub: (x, y) => `${x} - ${y}`,
  mul: (x, y) => `${x} * ${y}`,
  div: (x, y) => `div_i(${x}, ${y})`,
  min: (x, y) => `min(${x}, ${y})`,
  max: (x, y) => `max(${x}, ${y})`,
  pow: (x, y) => `pow_i(${x}, ${y})`,
  and: (x, y) => `${x} & ${y}`,
  or: (x, y) => `${x} | ${y}`,
  xor: (x, y) => `${x} ^ ${y}`,
  shl: (x, y) => `${x} << (bitcast<u32>(${y}) & 31u)`,
  shr: (x, y) => `bitcast<i32>(bitcast<u32>(${x}) >> (bitcast<u32>(${y}) & 31u))`,
};

const boolBinary: Partial<Record<BinaryOp, (x: string, y: string) => string>> = {
  and: (x, y) => `${x} & ${y}`,
  or: (x, y) => `${x} | ${y}`,
  xor: (x, y) => `${x} != ${y}`,
};

/** A value of one type as another: what `cast` does in registers. */
function convert(x: string, from: ComputeType, to: DType): string {
  if (to === 'bool') return from === 'bool' ? x : from === 'float32' ? `differ_f(${x}, 0.0f)` : `${x} != 0i`;
  if (to === 'int32') return from === 'int32' ? x : from === 'bool' ? `select(0i, 1i, ${x})` : `f32_to_i32(${x})`;
  const float = from === 'float32' ? x : from === 'bool' ? `select(0.0f, 1.0f, ${x})` : `f32(${x})`;
  if (to === 'bfloat16') return `from_bfloat16(to_bfloat16(${float}))`;
  return to === 'float16' ? `from_float16(to_float16(${float}))` : float;
}

/**
 * The expression of an instruction other than load, const, index and reduced. Operands are names, so that WGSL evaluates nothing while it
 * compiles (there, overflow and division by zero are errors).
 */
export function expression(x: Instruction, args: readonly string[], types: readonly ComputeType[]): string {
  switch (x.op) {
    case 'where':
      return `select(${args[2]}, ${args[1]}, ${args[0]})`;
    case 'cast':
      return convert(args[0], types[0], x.to);
    case 'threefry':
      return `threefry(${args.join(', ')}).${x.lane === 0 ? 'x' : 'y'}`;
    default:
      break;
  }
  const [a, b] = args;
  const type = types[0];
  let text: string | undefined;
  if (args.length === 1) {
    if (type === 'bool') text = x.op === 'not' ? `!${a}` : undefined;
    else if (type === 'int32') text = integerUnary[x.op as UnaryOp]?.(a);
    else text = floatUnary[x.op as Exclude<UnaryOp, 'not'>]?.(a);
  } else {
    const compare = comparisons[x.op as BinaryOp];
    const ordered = type === 'bool' && (x.op === 'lt' || x.op === 'le');
    if (x.op === 'ne' && type === 'float32') text = `differ_f(${a}, ${b})`;
    else if (compare) text = ordered ? `select(0i, 1i, ${a}) ${compare} select(0i, 1i, ${b})` : `${a} ${compare} ${b}`;
    else text = { float32: floatBinary, int32: integerBinary, bool: boolBinary }[type][x.op as BinaryOp]?.(a, b);
  }
  if (text === undefined) throw new DeviceError(`webgpu: a kernel has ${x.op} of ${types.join(', ')}, which the IR does not define`);
  return text;
}
