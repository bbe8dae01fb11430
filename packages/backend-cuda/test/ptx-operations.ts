/* Arithmetic of the PTX machine: opcodes as functions of numbers. Results are rounded by the register that takes them. */

const word = new DataView(new ArrayBuffer(8));

export function floatBits(x: number): number {
  word.setFloat32(0, x);
  return word.getInt32(0);
}

export function bitsFloat(x: number): number {
  word.setInt32(0, x);
  return word.getFloat32(0);
}

/** Off by 2^-22 relative, up or down. */
function approximate(x: number, input: number): number {
  return Math.fround(x * (1 + (floatBits(input) & 1 ? 2 ** -22.4 : -(2 ** -22.4))));
}

/** Results below the normal range become zero. */
const flush = (x: number): number => (Math.abs(x) >= 2 ** -126 || Number.isNaN(x) ? x : Math.sign(x) < 0 ? -0 : 0);

/** Rounds to the nearest integer, ties to even. */
export function nearest(x: number): number {
  if (!Number.isFinite(x)) return x;
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

export const saturate = (x: number): number => (Number.isNaN(x) ? 0 : Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, x)));

export function toHalf(x: number): number {
  const out = new Float16Array(1);
  out[0] = x;
  return new Uint16Array(out.buffer)[0];
}

export function fromHalf(h: number): number {
  return new Float16Array(Uint16Array.of(h).buffer)[0];
}

export function toBrain(x: number): number {
  const u = floatBits(x) >>> 0;
  return Number.isNaN(x) ? 0x7fff : ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

declare class Float16Array extends Array<number> {
  constructor(source: number | ArrayBufferLike);
  readonly buffer: ArrayBuffer;
}

export const floats: Record<string, (...x: number[]) => number> = {
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

export const integers: Record<string, (...x: number[]) => number> = {
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

export const predicates: Record<string, (a: number, b: number) => boolean> = {
  'setp.lt.f32': (a, b) => a < b,
  'setp.gt.f32': (a, b) => a > b,
  'setp.le.f32': (a, b) => a <= b,
  'setp.eq.f32': (a, b) => a === b,
  'setp.ne.f32': (a, b) => a !== b && !Number.isNaN(a) && !Number.isNaN(b),
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
