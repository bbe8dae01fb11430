import type { V128 } from './expression';
import { f32x4, f64x2, i32, i32x4, i64x2, v128 } from './operators';
import type { VectorMath } from './math';

/**
 * Functions that need float64 inside to keep float32 accuracy: sin and cos (range reduction) and pow (the logarithm is
 * multiplied by y).
 */

const low: readonly [number, number, number, number] = [0, 1, 0, 1];
const high: readonly [number, number, number, number] = [2, 3, 2, 3];

/** Runs `body` on both halves of float32 vectors as float64 pairs, and joins the results. */
function inHalves(math: VectorMath, inputs: readonly V128[], body: (wide: readonly V128[]) => V128): V128 {
  const { fn } = math;
  const [a, b] = [low, high].map((lanes) =>
    fn.let(f32x4.fromF64Zero(body(inputs.map((x) => fn.let(f64x2.fromLowF32(v128.shuffle(x, x, lanes))))))),
  );
  return fn.let(v128.shuffle(a, b, [0, 1, 4, 5]));
}

function polynomial(math: VectorMath, x: V128, coefficients: readonly number[]): V128 {
  let sum = math.fn.double(coefficients[coefficients.length - 1]);
  for (let i = coefficients.length - 2; i >= 0; i--)
    sum = f64x2.add(f64x2.mul(sum, x), math.fn.double(coefficients[i]));
  return sum;
}

/** Adding it to a float64 rounds to an integer, whose low bits then are those of the sum. */
const magic = 1.5 * 2 ** 52;

/**
 * `quarters` = 0: sin x, 1: cos x. x = n pi/2 + r in float64 with pi/2 in two parts: exact to float32 for |x| up to
 * about 1e8; beyond, the phase is lost gradually, but results stay in [-1, 1].
 */
export function sinCos(math: VectorMath, x: V128, quarters: 0 | 1): V128 {
  const { fn } = math;
  const turns: V128[] = [];
  const reduced = inHalves(math, [x], ([w]) => {
    const t = fn.let(f64x2.add(f64x2.mul(w, fn.double(2 / Math.PI)), fn.double(magic)));
    turns.push(t);
    const n = fn.let(f64x2.sub(t, fn.double(magic)));
    const main = f64x2.sub(w, f64x2.mul(n, fn.double(1.5707963267341256)));
    return f64x2.sub(main, f64x2.mul(n, fn.double(6.0771005065061922e-11)));
  });
  const n = v128.shuffle(turns[0], turns[1], [0, 2, 4, 6]);
  const r = fn.let(f32x4.pmin(f32x4.pmax(reduced, fn.float(-Math.PI / 4)), fn.float(Math.PI / 4)));
  return math.sinOfReduced(r, fn.let(quarters === 0 ? n : i32x4.add(n, fn.int(quarters))));
}

/** log2 of positive float64 lanes: x = 2^e m, m in [sqrt(1/2), sqrt(2)), log2 m = s P(s²), s = (m - 1) / (m + 1). */
function log2(math: VectorMath, x: V128): V128 {
  const { fn } = math;
  const [offsetLow, offsetHigh] = new Uint32Array(new Float64Array([Math.SQRT1_2]).buffer);
  const root = fn.words(offsetLow, offsetHigh, offsetLow, offsetHigh);
  const shifted = fn.let(i64x2.sub(x, root));
  // The exponent e as float64: e + 1024 put in the low bits of 2^52, without a conversion from i64.
  const biased = i64x2.shrU(i64x2.add(shifted, fn.words(0, 0x40000000, 0, 0x40000000)), i32.const(52));
  const e = fn.let(f64x2.sub(v128.or(biased, fn.double(2 ** 52)), fn.double(2 ** 52 + 1024)));
  const m = fn.let(i64x2.add(v128.and(shifted, fn.words(0xffffffff, 0x000fffff, 0xffffffff, 0x000fffff)), root));
  const s = fn.let(f64x2.div(f64x2.sub(m, fn.double(1)), f64x2.add(m, fn.double(1))));
  const z = fn.let(f64x2.mul(s, s));
  const series = polynomial(
    math,
    z,
    [
      2.885390081777849, 0.9617966941148126, 0.577077941945984, 0.4122092944073944, 0.3199039607812623,
      0.28292534472327663,
    ],
  );
  return f64x2.add(f64x2.mul(s, series), e);
}

/** 2^v of float64 lanes in [-1000, 1000]. */
function exp2(math: VectorMath, v: V128): V128 {
  const { fn } = math;
  const t = fn.let(f64x2.add(v, fn.double(magic)));
  const f = fn.let(f64x2.sub(v, f64x2.sub(t, fn.double(magic))));
  const p = polynomial(
    math,
    f,
    [
      0.9999999999616246, 0.693147180728723, 0.24022651198740091, 0.05550410352837257, 0.009618027174330083,
      0.0013333922854829132, 0.00015469316862251747, 1.520190004128071e-5,
    ],
  );
  return i64x2.add(p, i64x2.shl(t, i32.const(52)));
}

/**
 * x^y as IEEE pow: 2^(y log2 |x|), negative where x is negative and y an odd integer, NaN where x is negative and y no
 * integer.
 */
export function pow(math: VectorMath, x: V128, y: V128): V128 {
  const { fn } = math;
  const magnitude = fn.let(f32x4.abs(x));
  const infinity = fn.float(Infinity);
  const core = inHalves(math, [magnitude, y], ([ax, wy]) => {
    const zero = f64x2.eq(ax, fn.double(0));
    const notFinite = f64x2.ge(ax, fn.double(Infinity));
    const log = fn.let(v128.select(notFinite, ax, log2(math, ax)));
    const exponent = fn.let(v128.select(zero, fn.double(-Infinity), log));
    const product = fn.let(f64x2.mul(wy, exponent));
    // NaN operands first: pmin and pmax keep them.
    const limited = fn.let(f64x2.pmax(f64x2.pmin(product, fn.double(300)), fn.double(-300)));
    return v128.select(f64x2.eq(product, product), exp2(math, limited), product);
  });
  const isInteger = fn.let(f32x4.eq(f32x4.trunc(y), y));
  const halfY = fn.let(f32x4.mul(y, fn.float(0.5)));
  const odd = v128.andnot(isInteger, f32x4.eq(f32x4.trunc(halfY), halfY));
  const signed = fn.let(v128.xor(core, v128.and(v128.and(odd, x), fn.int(-0x80000000))));
  const negative = v128.and(f32x4.lt(x, fn.float(0)), f32x4.lt(magnitude, infinity));
  const orNaN = fn.let(v128.or(signed, v128.andnot(negative, isInteger)));
  const nanIn = f32x4.ne(x, x);
  const result = fn.let(v128.select(nanIn, x, orNaN));
  return fn.let(v128.select(f32x4.eq(y, fn.float(0)), fn.float(1), result));
}
