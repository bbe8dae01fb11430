import type { BinaryOp, UnaryOp } from '../compile/kernel';
import type { DType } from '../dtype';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../half';

/** Error function to about 1e-15: series for small |x|, continued fraction beyond. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let k = 120; k >= 1; k--) fraction = k / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + fraction)));
}

/** The unary primitives in float64. */
export const unaryFunctions: Record<UnaryOp, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tanh: Math.tanh,
  erf,
  sigmoid: (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x))),
  softplus: (x) => (x > 20 ? x : Math.log1p(Math.exp(x))),
  floor: Math.floor,
  not: (x) => (x === 0 ? 1 : 0),
};

const floats: Record<BinaryOp, (x: number, y: number) => number> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  min: Math.min,
  max: Math.max,
  pow: (x, y) => x ** y,
  lt: (x, y) => Number(x < y),
  le: (x, y) => Number(x <= y),
  eq: (x, y) => Number(x === y),
  ne: (x, y) => Number(x !== y),
  and: (x, y) => x & y,
  or: (x, y) => x | y,
  xor: (x, y) => x ^ y,
  shl: (x, y) => x << y,
  shr: (x, y) => (x >>> y) | 0,
};

const integers: Partial<Record<BinaryOp, (x: number, y: number) => number>> = {
  add: (x, y) => (x + y) | 0,
  sub: (x, y) => (x - y) | 0,
  mul: Math.imul,
  div: (x, y) => (y === 0 ? 0 : (x / y) | 0),
  pow: (x, y) => (x ** y) | 0,
};

/** A binary primitive in float64, or on int32 with wrap-around. */
export function binaryFunctions(op: BinaryOp, integer: boolean): (x: number, y: number) => number {
  return (integer ? integers[op] : undefined) ?? floats[op];
}

/** A value as `dtype` stores it. */
export function roundTo(dtype: DType, x: number): number {
  switch (dtype) {
    case 'bool':
      return Number(x !== 0);
    case 'int32':
      return Number.isNaN(x) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x)));
    case 'bfloat16':
      return fromBFloat16(toBFloat16(x));
    case 'float16':
      return fromFloat16(toFloat16(x));
    default:
      return x;
  }
}

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011): two words of key, two of counter → two words of random bits. */
export function threefry2x32(key0: number, key1: number, counter0: number, counter1: number): [number, number] {
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24];
  const keys = [key0, key1, key0 ^ key1 ^ 0x1bd11bda];
  let x = (counter0 + key0) | 0;
  let y = (counter1 + key1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8];
    x = (x + y) | 0;
    y = (y << r) | (y >>> (32 - r));
    y ^= x;
    if (round % 4 === 3) {
      const k = (round + 1) / 4;
      x = (x + keys[k % 3]) | 0;
      y = (y + keys[(k + 1) % 3] + k) | 0;
    }
  }
  return [x, y];
}
