import { memory, plain, simd, type Expr, type I32, type V128 } from './expression';

/** The WebAssembly instructions that kernels use, as typed expression builders. Names follow the text format. */

type Binary<T extends 'i32' | 'v128'> = (a: Expr<T>, b: Expr<T>) => Expr<T>;
const int =
  (code: number): Binary<'i32'> =>
  (a, b) =>
    plain('i32', code, a, b);
const vector1 =
  (code: number): ((a: V128) => V128) =>
  (a) =>
    simd('v128', code, [a]);
const vector2 =
  (code: number): Binary<'v128'> =>
  (a, b) =>
    simd('v128', code, [a, b]);
const shift =
  (code: number): ((a: V128, count: I32) => V128) =>
  (a, count) =>
    simd('v128', code, [a, count]);

function i32Const(value: number): I32 {
  return {
    type: 'i32',
    emit(out) {
      out.byte(0x41);
      out.s32(value);
    },
  };
}

function i64Const(value: bigint): Expr<'i64'> {
  return {
    type: 'i64',
    emit(out) {
      out.byte(0x42);
      out.s64(value);
    },
  };
}

type Int32Ops = Record<
  | 'add'
  | 'sub'
  | 'mul'
  | 'divS'
  | 'divU'
  | 'remU'
  | 'and'
  | 'or'
  | 'eq'
  | 'ne'
  | 'ltS'
  | 'ltU'
  | 'gtS'
  | 'geS'
  | 'geU'
  | 'leS'
  | 'shl'
  | 'shrU',
  Binary<'i32'>
> & {
  const(value: number): I32;
  eqz(a: I32): I32;
  select(condition: I32, whenTrue: I32, whenFalse: I32): I32;
  load(address: I32, offset?: number): I32;
  load16u(address: I32, offset?: number): I32;
};

export const i32: Int32Ops = {
  const: i32Const,
  eqz: (a) => plain('i32', 0x45, a),
  eq: int(0x46),
  ne: int(0x47),
  ltS: int(0x48),
  ltU: int(0x49),
  gtS: int(0x4a),
  leS: int(0x4c),
  geS: int(0x4e),
  geU: int(0x4f),
  add: int(0x6a),
  sub: int(0x6b),
  mul: int(0x6c),
  divS: int(0x6d),
  divU: int(0x6e),
  remU: int(0x70),
  and: int(0x71),
  or: int(0x72),
  shl: int(0x74),
  shrU: int(0x76),
  select: (condition, whenTrue, whenFalse) => plain('i32', 0x1b, whenTrue, whenFalse, condition),
  load: (address, offset = 0) => memory('i32', null, 0x28, 2, offset, [address]),
  load16u: (address, offset = 0) => memory('i32', null, 0x2f, 1, offset, [address]),
};

export const i64: { const(value: bigint): Expr<'i64'> } = { const: i64Const };

type AtomicOps = {
  load(address: I32, offset?: number): I32;
  add(address: I32, value: I32): I32;
  sub(address: I32, value: I32): I32;
  wait(address: I32, expected: I32, nanoseconds: Expr<'i64'>): I32;
  notify(address: I32, count: I32): I32;
};

/** i32 atomics (prefix 0xfe); stores are statements of `FunctionBuilder`. */
export const atomic: AtomicOps = {
  load: (address, offset = 0) => memory('i32', 0xfe, 0x10, 2, offset, [address]),
  add: (address, value) => memory('i32', 0xfe, 0x1e, 2, 0, [address, value]),
  sub: (address, value) => memory('i32', 0xfe, 0x25, 2, 0, [address, value]),
  wait: (address, expected, nanoseconds) => memory('i32', 0xfe, 0x01, 2, 0, [address, expected, nanoseconds]),
  notify: (address, count) => memory('i32', 0xfe, 0x00, 2, 0, [address, count]),
};

type V128Ops = {
  const(words: readonly [number, number, number, number]): V128;
  load(address: I32, offset?: number): V128;
  load32Splat(address: I32, offset?: number): V128;
  load16Splat(address: I32, offset?: number): V128;
  load32Zero(address: I32, offset?: number): V128;
  load64Zero(address: I32, offset?: number): V128;
  load16x4u(address: I32, offset?: number): V128;
  load32Lane(address: I32, into: V128, lane: number, offset?: number): V128;
  load16Lane(address: I32, into: V128, lane: number, offset?: number): V128;
  not(a: V128): V128;
  and: Binary<'v128'>;
  andnot: Binary<'v128'>;
  or: Binary<'v128'>;
  xor: Binary<'v128'>;
  /** Bits of `whenTrue` where `mask` is 1, of `whenFalse` elsewhere. */
  select(mask: V128, whenTrue: V128, whenFalse: V128): V128;
  /** 32-bit lanes 0..3 of `a` and 4..7 of `b`. */
  shuffle(a: V128, b: V128, lanes: readonly [number, number, number, number]): V128;
};

export const v128: V128Ops = {
  const(words) {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    words.forEach((word, lane) => view.setUint32(lane * 4, word >>> 0, true));
    return simd('v128', 12, [], [...bytes]);
  },
  load: (address, offset = 0) => memory('v128', 0xfd, 0, 2, offset, [address]),
  load16x4u: (address, offset = 0) => memory('v128', 0xfd, 4, 1, offset, [address]),
  load16Splat: (address, offset = 0) => memory('v128', 0xfd, 8, 1, offset, [address]),
  load32Splat: (address, offset = 0) => memory('v128', 0xfd, 9, 2, offset, [address]),
  load32Zero: (address, offset = 0) => memory('v128', 0xfd, 92, 2, offset, [address]),
  load64Zero: (address, offset = 0) => memory('v128', 0xfd, 93, 2, offset, [address]),
  load16Lane: (address, into, lane, offset = 0) => memory('v128', 0xfd, 85, 1, offset, [address, into], lane),
  load32Lane: (address, into, lane, offset = 0) => memory('v128', 0xfd, 86, 2, offset, [address, into], lane),
  not: vector1(77),
  and: vector2(78),
  andnot: vector2(79),
  or: vector2(80),
  xor: vector2(81),
  select: (mask, whenTrue, whenFalse) => simd('v128', 82, [whenTrue, whenFalse, mask]),
  shuffle: (a, b, lanes) =>
    simd(
      'v128',
      13,
      [a, b],
      lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3]),
    ),
};

type Int32x4Ops = Record<
  'eq' | 'ne' | 'ltS' | 'gtS' | 'leS' | 'geS' | 'add' | 'sub' | 'mul' | 'minS' | 'maxS' | 'narrowU',
  Binary<'v128'>
> &
  Record<'abs' | 'neg' | 'truncSatF32' | 'truncSatF64Zero' | 'extendLowU', (a: V128) => V128> &
  Record<'shl' | 'shrS' | 'shrU', (a: V128, count: I32) => V128> & {
    splat(a: I32): V128;
    extract(a: V128, lane: number): I32;
    replace(a: V128, lane: number, value: I32): V128;
  };

export const i32x4: Int32x4Ops = {
  splat: (a) => simd('v128', 17, [a]),
  extract: (a, lane) => simd('i32', 27, [a], [lane]),
  replace: (a, lane, value) => simd('v128', 28, [a, value], [lane]),
  eq: vector2(55),
  ne: vector2(56),
  ltS: vector2(57),
  gtS: vector2(59),
  leS: vector2(61),
  geS: vector2(63),
  abs: vector1(160),
  neg: vector1(161),
  shl: shift(171),
  shrS: shift(172),
  shrU: shift(173),
  add: vector2(174),
  sub: vector2(177),
  mul: vector2(181),
  minS: vector2(182),
  maxS: vector2(184),
  truncSatF32: vector1(248),
  truncSatF64Zero: vector1(252),
  /** Low four u16 lanes to i32 lanes. */
  extendLowU: vector1(169),
  /** i32 lanes of both (each within [0, 65535]) to eight u16 lanes. */
  narrowU: vector2(134),
};

type Int64x2Ops = Record<'add' | 'sub', Binary<'v128'>> & Record<'shl' | 'shrU', (a: V128, count: I32) => V128>;

export const i64x2: Int64x2Ops = { shl: shift(203), shrU: shift(205), add: vector2(206), sub: vector2(209) };

type FloatOps = Record<'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pmin' | 'pmax', Binary<'v128'>> &
  Record<'eq' | 'ne' | 'lt' | 'gt' | 'le' | 'ge', Binary<'v128'>> &
  Record<'abs' | 'neg' | 'sqrt' | 'floor' | 'trunc', (a: V128) => V128> & {
    /** a * b + c in one rounding where the device has it (relaxed SIMD). */
    relaxedMadd(a: V128, b: V128, c: V128): V128;
    /** c - a * b, likewise. */
    relaxedNmadd(a: V128, b: V128, c: V128): V128;
  };

export const f32x4: FloatOps & { fromI32(a: V128): V128; fromF64Zero(a: V128): V128 } = {
  eq: vector2(65),
  ne: vector2(66),
  lt: vector2(67),
  gt: vector2(68),
  le: vector2(69),
  ge: vector2(70),
  floor: vector1(104),
  trunc: vector1(105),
  abs: vector1(224),
  neg: vector1(225),
  sqrt: vector1(227),
  add: vector2(228),
  sub: vector2(229),
  mul: vector2(230),
  div: vector2(231),
  min: vector2(232),
  max: vector2(233),
  pmin: vector2(234),
  pmax: vector2(235),
  relaxedMadd: (a, b, c) => simd('v128', 0x105, [a, b, c]),
  relaxedNmadd: (a, b, c) => simd('v128', 0x106, [a, b, c]),
  fromI32: vector1(250),
  fromF64Zero: vector1(94),
};

export const f64x2: FloatOps & { fromLowI32(a: V128): V128; fromLowF32(a: V128): V128 } = {
  eq: vector2(71),
  ne: vector2(72),
  lt: vector2(73),
  gt: vector2(74),
  le: vector2(75),
  ge: vector2(76),
  floor: vector1(117),
  trunc: vector1(122),
  abs: vector1(236),
  neg: vector1(237),
  sqrt: vector1(239),
  add: vector2(240),
  sub: vector2(241),
  mul: vector2(242),
  div: vector2(243),
  min: vector2(244),
  max: vector2(245),
  pmin: vector2(246),
  pmax: vector2(247),
  relaxedMadd: (a, b, c) => simd('v128', 0x107, [a, b, c]),
  relaxedNmadd: (a, b, c) => simd('v128', 0x108, [a, b, c]),
  fromLowI32: vector1(254),
  fromLowF32: vector1(95),
};
