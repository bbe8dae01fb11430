import { floatLiteral, type Operand, type PtxCode } from './code';

/*
 * Float functions as straight-line PTX, to about two units in the last place (pow: four). Coefficients are minimax fits of the named expression,
 * made with an iteratively reweighted least-squares fit in 40 digits; errors are stated where they were fitted.
 */

const c = floatLiteral;
const infinity = c(Number.POSITIVE_INFINITY);

/** coefficients[0] + x (coefficients[1] + x (…)). */
function polynomial(code: PtxCode, x: Operand, coefficients: readonly number[]): Operand {
  let sum: Operand = c(coefficients[coefficients.length - 1]);
  for (let i = coefficients.length - 2; i >= 0; i--) sum = fma(code, sum, x, c(coefficients[i]));
  return sum;
}

const fma = (code: PtxCode, x: Operand, y: Operand, z: Operand): Operand => code.op('f', 'fma.rn.f32', x, y, z);
const add = (code: PtxCode, x: Operand, y: Operand): Operand => code.op('f', 'add.rn.f32', x, y);
const sub = (code: PtxCode, x: Operand, y: Operand): Operand => code.op('f', 'sub.rn.f32', x, y);
const mul = (code: PtxCode, x: Operand, y: Operand): Operand => code.op('f', 'mul.rn.f32', x, y);
const negate = (code: PtxCode, x: Operand): Operand => code.op('f', 'neg.f32', x);
const absolute = (code: PtxCode, x: Operand): Operand => code.op('f', 'abs.f32', x);
const select = (code: PtxCode, condition: Operand, x: Operand, y: Operand): Operand => code.op('f', 'selp.f32', x, y, condition);
const less = (code: PtxCode, x: Operand, y: Operand): Operand => code.op('p', 'setp.lt.f32', x, y);
const equal = (code: PtxCode, x: Operand, y: Operand): Operand => code.op('p', 'setp.eq.f32', x, y);
const asBits = (code: PtxCode, x: Operand): Operand => code.op('r', 'mov.b32', x);
const asFloat = (code: PtxCode, x: Operand): Operand => code.op('f', 'mov.b32', x);

/** Halves of ln 2: the first has zeros at its end, so that its products with small integers are exact. */
const ln2High = c(0.693145751953125);
const ln2Low = c(1.428606765330187e-6);
const log2e = c(Math.LOG2E);

/** x in [low, high], NaN stays NaN. */
function clamp(code: PtxCode, x: Operand, low: number, high: number): Operand {
  return code.op('f', 'min.NaN.f32', code.op('f', 'max.NaN.f32', x, c(low)), c(high));
}

/** n = round(x log2 e) and x - n ln 2, |x| small enough for n to fit. */
function reduceExponent(code: PtxCode, x: Operand): [n: Operand, rest: Operand] {
  const n = code.op('f', 'cvt.rni.f32.f32', mul(code, x, log2e));
  const minusN = negate(code, n);
  return [n, fma(code, minusN, ln2Low, fma(code, minusN, ln2High, x))];
}

/** 2^n for an integer n in [-126, 127], exactly. */
function powerOfTwo(code: PtxCode, n: Operand): Operand {
  const integer = code.op('r', 'cvt.rni.s32.f32', n);
  return asFloat(code, code.op('r', 'shl.b32', code.op('r', 'add.s32', integer, 127), 23));
}

export function exp(code: PtxCode, x: Operand): Operand {
  // n is kept in [-125, 127]; what is left of x beyond that, ex2 takes to 0 or infinity itself. Adding 1.5 · 2^23 rounds to an integer and
  // leaves it in the low bits.
  const inner = code.op('f', 'min.f32', code.op('f', 'max.f32', x, c(-86.6)), c(88));
  const shifted = fma(code, inner, log2e, c(12582912));
  const n = negate(code, sub(code, shifted, c(12582912)));
  const rest = fma(code, n, ln2Low, fma(code, n, ln2High, x));
  const power = asFloat(code, code.op('r', 'add.s32', code.op('r', 'shl.b32', asBits(code, shifted), 23), 0x3f800000));
  return mul(code, code.op('f', 'ex2.approx.ftz.f32', mul(code, rest, log2e)), power);
}

export function expm1(code: PtxCode, x: Operand): Operand {
  const [n, r] = reduceExponent(code, clamp(code, x, -30, 89));
  // (e^r - 1 - r) / r² on |r| <= ln 2 / 2, error 2e-9 of the result
  const q = polynomial(code, r, [0.5, 0.1666666567325592, 0.041666362434625626, 0.008333389647305012, 0.0013940618373453617, 0.00019845877250190824]);
  const small = fma(code, mul(code, r, r), q, r);
  // 2^n small + (2^n - 1), halved so that n = 128 fits
  const t = powerOfTwo(code, sub(code, n, c(1)));
  const large = fma(code, t, small, sub(code, t, c(0.5)));
  return select(code, equal(code, n, c(0)), small, add(code, large, large));
}

/** (ln(1 + f) - f) / f² on |f| <= 1/3, error 1e-8 of ln(1 + f). */
const logCoefficients = [
  -0.5, 0.3333320915699005, -0.24999716877937317, 0.20010748505592346, -0.16682307422161102, 0.14001135528087616, -0.12167125940322876,
  0.14004893600940704, -0.12949097156524658,
];

/** ln(1 + f) + e ln 2 */
function logOfParts(code: PtxCode, f: Operand, e: Operand): Operand {
  const small = fma(code, mul(code, f, f), polynomial(code, f, logCoefficients), f);
  return fma(code, e, c(Math.LN2), small);
}

/** Infinity and NaN as they are, NaN below zero, -infinity at zero, else `value`; `x` is the logarithm's argument. */
function logSpecialCases(code: PtxCode, x: Operand, value: Operand): Operand {
  const unusual = code.op('p', 'setp.ge.u32', asBits(code, x), 0x7f800000);
  const result = select(code, unusual, fma(code, x, infinity, infinity), value);
  return select(code, equal(code, x, c(0)), c(Number.NEGATIVE_INFINITY), result);
}

/** Exponent field e (as bits, a multiple of 2^23) with x = 2^e m, m in [threshold, 2 threshold). */
function exponentBits(code: PtxCode, x: Operand, threshold: number): Operand {
  return code.op('r', 'and.b32', code.op('r', 'sub.s32', asBits(code, x), threshold), -8388608);
}

/** The exponent that `bits` stand for, plus `offset`. */
function exponentOf(code: PtxCode, bits: Operand, offset: Operand): Operand {
  return fma(code, code.op('f', 'cvt.rn.f32.s32', bits), c(2 ** -23), offset);
}

export function log(code: PtxCode, x: Operand): Operand {
  const subnormal = less(code, x, c(2 ** -126));
  const scaled = select(code, subnormal, mul(code, x, c(2 ** 23)), x);
  const bits = exponentBits(code, scaled, 0x3f2aaaab); // m in [2/3, 4/3)
  const e = exponentOf(code, bits, select(code, subnormal, c(-23), c(0)));
  const f = sub(code, asFloat(code, code.op('r', 'sub.s32', asBits(code, scaled), bits)), c(1));
  return logSpecialCases(code, x, logOfParts(code, f, e));
}

export function log1p(code: PtxCode, x: Operand): Operand {
  const u = add(code, x, c(1));
  const bits = exponentBits(code, u, 0x3f2aaaab);
  // f = (1 + x) 2^-e - 1 without the rounding of 1 + x; 4 · 2^-e always fits
  const scale = asFloat(code, code.op('r', 'sub.s32', 0x40800000, bits));
  const f = fma(code, mul(code, x, c(0.25)), scale, fma(code, c(0.25), scale, c(-1)));
  const value = logSpecialCases(code, u, logOfParts(code, f, exponentOf(code, bits, c(0))));
  // Exact for what 1 + x cannot see; also keeps -0.
  return select(code, less(code, absolute(code, x), c(1e-7)), x, value);
}

export function softplus(code: PtxCode, x: Operand): Operand {
  return select(code, code.op('p', 'setp.gt.f32', x, c(20)), x, log1p(code, exp(code, x)));
}

export function sigmoid(code: PtxCode, x: Operand): Operand {
  return code.op('f', 'rcp.approx.ftz.f32', add(code, exp(code, negate(code, x)), c(1)));
}

export function tanh(code: PtxCode, x: Operand): Operand {
  // (e^2x - 1) / (e^2x + 1)
  const e = expm1(code, clamp(code, add(code, x, x), -40, 40));
  return code.op('f', 'div.rn.f32', e, add(code, e, c(2)));
}

/** Sine, or cosine as the sine of the next quadrant. Beyond 1e5 the hardware's own: correct in range, not in value. */
export function sine(code: PtxCode, x: Operand, cosine: boolean): Operand {
  const n = code.op('f', 'cvt.rni.f32.f32', mul(code, x, c(2 / Math.PI)));
  const m = negate(code, n);
  // π/2 in three parts
  let r = fma(code, m, c(1.5707960128784180), x);
  r = fma(code, m, c(3.1391647326017846e-7), r);
  r = fma(code, m, c(5.390302529957764e-15), r);
  const integer = code.op('r', 'cvt.rni.s32.f32', n);
  const quadrant = cosine ? code.op('r', 'add.s32', integer, 1) : integer;
  const s = mul(code, r, r);
  // sin: error 4e-9; cos: error 5e-10
  const ofSine = fma(code, mul(code, s, r), polynomial(code, s, [-0.1666666716337204, 0.008333329111337662, -0.00019839311426039785, 2.7181185942026787e-6]), r);
  const ofCosine = fma(code, mul(code, s, s), polynomial(code, s, [0.04166664555668831, -0.001388736767694354, 2.4438422769890167e-5]), fma(code, s, c(-0.5), c(1)));
  const odd = code.op('p', 'setp.ne.s32', code.op('r', 'and.b32', quadrant, 1), 0);
  const value = select(code, odd, ofCosine, ofSine);
  const negative = code.op('p', 'setp.ne.s32', code.op('r', 'and.b32', quadrant, 2), 0);
  const result = select(code, negative, negate(code, value), value);
  const far = code.op('p', 'setp.gt.f32', absolute(code, x), c(1e5));
  return select(code, far, code.op('f', cosine ? 'cos.approx.f32' : 'sin.approx.f32', x), result);
}

export function erf(code: PtxCode, x: Operand): Operand {
  const t = code.op('f', 'min.NaN.f32', absolute(code, x), c(4));
  // erf(t) / t - 1 in t² on [0, 1], error 2e-9; -log2(erfc(t)) / t on [1, 4], error 1e-9 of erf
  const q = polynomial(code, mul(code, t, t), [
    0.12837916612625122, -0.3761262595653534, 0.1128358542919159, -0.026853812858462334, 0.005188327748328447, -0.0008010193705558777, 7.853860734030604e-5,
  ]);
  const small = fma(code, q, t, t);
  const p = polynomial(code, t, [1.628345251083374, 0.9161315560340881, 0.15358959138393402, -0.03455464541912079, 0.0053822980262339115, -0.0004966118722222745, 1.925334072439e-5]);
  const large = sub(code, c(1), code.op('f', 'ex2.approx.ftz.f32', negate(code, mul(code, p, t))));
  const value = select(code, less(code, t, c(1)), small, large);
  return code.op('f', 'copysign.f32', x, value);
}

/** |x|^y through a logarithm in two floats, then signs and the special cases of IEEE 754 (1^∞ and NaN^0 as in JavaScript: NaN and 1). */
export function pow(code: PtxCode, x: Operand, y: Operand): Operand {
  const a = absolute(code, x);
  const subnormal = less(code, a, c(2 ** -126));
  const scaled = select(code, subnormal, mul(code, a, c(2 ** 24)), a);
  const bits = exponentBits(code, scaled, 0x3f3504f3); // m in [√½, √2)
  const e = exponentOf(code, bits, select(code, subnormal, c(-24), c(0)));
  const f = sub(code, asFloat(code, code.op('r', 'sub.s32', asBits(code, scaled), bits)), c(1));
  // ln m = q + q³/12 + …, q = 2 f / (f + 2), in two parts
  const reciprocal = code.op('f', 'rcp.approx.ftz.f32', add(code, f, c(2)));
  const q = mul(code, add(code, f, f), reciprocal);
  const gap = sub(code, f, q);
  const qLow = mul(code, fma(code, negate(code, f), q, add(code, gap, gap)), reciprocal);
  const qq = mul(code, q, q);
  // error 4e-10 of the cubic term
  const tail = fma(code, mul(code, qq, q), polynomial(code, qq, [0.0833333283662796, 0.012500106357038021, 0.002229442121461034, 0.00046076549915596843]), qLow);
  // + e ln 2, exactly in the high part
  const eHigh = mul(code, e, ln2High);
  const sum = add(code, eHigh, q);
  const carried = sub(code, sum, eHigh);
  const rest = add(code, sub(code, eHigh, sub(code, sum, carried)), sub(code, q, carried));
  const low = fma(code, e, ln2Low, add(code, rest, tail));
  const high = add(code, sum, low);
  const lowest = sub(code, low, sub(code, high, sum));
  // times y; the low part matters only where the result is neither 0 nor infinity
  const product = mul(code, high, y);
  const error = fma(code, lowest, y, fma(code, high, y, negate(code, product)));
  const inRange = less(code, absolute(code, product), c(88));
  const power = exp(code, product);
  const positive = select(code, inRange, fma(code, power, error, power), power);

  const zero = c(0);
  const yNegative = less(code, y, zero);
  const atZero = select(code, yNegative, infinity, zero);
  const atInfinity = select(code, yNegative, zero, infinity);
  let value = select(code, equal(code, a, zero), atZero, select(code, equal(code, a, infinity), atInfinity, positive));
  // A negative base: odd powers are negative, fractions NaN.
  const truncated = code.op('f', 'cvt.rzi.f32.f32', y);
  const fraction = code.op('p', 'setp.neu.f32', truncated, y);
  const half = mul(code, y, c(0.5));
  const odd = code.op('p', 'setp.neu.f32', code.op('f', 'cvt.rzi.f32.f32', half), half);
  const negative = code.op('p', 'setp.lt.s32', asBits(code, x), 0);
  const oddWhole = code.op('p', 'and.pred', code.op('p', 'and.pred', negative, odd), code.op('p', 'not.pred', fraction));
  value = select(code, oddWhole, negate(code, value), value);
  const undefinedRoot = code.op('p', 'and.pred', code.op('p', 'and.pred', less(code, x, zero), fraction), less(code, a, infinity));
  value = select(code, undefinedRoot, c(Number.NaN), value);
  const unordered = code.op('p', 'setp.nan.f32', x, y);
  value = select(code, unordered, c(Number.NaN), value);
  const infiniteOne = code.op('p', 'and.pred', equal(code, a, c(1)), equal(code, absolute(code, y), infinity));
  value = select(code, infiniteOne, c(Number.NaN), value);
  return select(code, equal(code, y, zero), c(1), value);
}
