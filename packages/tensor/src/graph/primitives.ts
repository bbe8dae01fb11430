import type { BinaryOp, UnaryOp } from '../compile/kernel';

/**
 * The primitive list: everything that can be fused, i.e. printed from the kernel IR. Shapes broadcast before an op: operands of elementwise
 * primitives have equal shapes. x, y float; i int32; b bool.
 *
 * Sources      constant(value)            a scalar of any type
 *              index(axis)                int32 coordinate along an axis
 *              threefry(k0, k1, counter)  int32 → int32: counter-based random bits (Threefry-2x32), word `lane`
 * Unary        see `unaryOps`
 * Binary       see `binaryOps`
 * Ternary      where(b, x, y)
 * cast         any → any
 * Views        reshape, permute(axes), expand (broadcast of axes of size 1 and of new leading axes), slice(starts, steps; steps may be
 *              negative), pad(before, after; with zeros)
 * Reductions   sum, max over a set of axes (removed from the shape)
 *
 * Not differentiable: index, threefry, comparisons, logic, floor, sign (gradient zero), integers.
 */
export const unaryOps: Record<UnaryOp, string> = {
  neg: '-x (float, int32)',
  abs: '|x| (float, int32)',
  sign: '-1, 0 or 1',
  exp: 'e^x',
  expm1: 'e^x - 1, exact near 0',
  log: 'ln x',
  log1p: 'ln(1 + x), exact near 0',
  sqrt: 'square root',
  rsqrt: '1 / sqrt(x)',
  reciprocal: '1 / x',
  sin: 'sine, x in radians',
  cos: 'cosine, x in radians',
  tanh: 'hyperbolic tangent',
  erf: 'Gauss error function',
  sigmoid: '1 / (1 + e^-x)',
  softplus: 'ln(1 + e^x); x itself above 20, as in the official kernels',
  floor: 'largest integer <= x',
  not: 'logical not (bool), bitwise not (int32)',
};

export const binaryOps: Record<BinaryOp, string> = {
  add: 'x + y', sub: 'x - y', mul: 'x y', div: 'x / y (int32: truncated, by zero gives 0)', min: 'smaller (NaN if either is)',
  max: 'larger (NaN if either is)', pow: 'x^y', lt: 'x < y', le: 'x <= y', eq: 'x == y', ne: 'x != y', and: 'and (bool, int32)',
  or: 'or (bool, int32)', xor: 'exclusive or (bool, int32)', shl: 'i << j', shr: 'i >>> j (logical)',
};

export const comparisons: ReadonlySet<BinaryOp> = new Set<BinaryOp>(['lt', 'le', 'eq', 'ne']);

/** Ops on bool and int32 only. */
export const logicalOps: ReadonlySet<string> = new Set(['and', 'or', 'xor', 'shl', 'shr', 'not']);

/** Unary ops that take int32 as well as floats; the others need floats. */
export const integerUnary: ReadonlySet<UnaryOp> = new Set<UnaryOp>(['neg', 'abs', 'sign', 'not', 'floor']);
