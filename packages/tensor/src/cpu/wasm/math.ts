import type { V128 } from './expression';
import type { FunctionBuilder } from './function';
import { f32x4, i32, i32x4, v128 } from './operators';

/**
 * Elementary functions on four float32 lanes, printed in line. Maximum relative error about 2e-7 (each is measured in
 * math.test.ts), IEEE special values. Polynomials are minimax fits on the reduced ranges named beside them.
 */
export class VectorMath {
  constructor(
    readonly fn: FunctionBuilder,
    /** Emit relaxed multiply-add: one rounding instead of two where the CPU has it. */
    readonly relaxed: boolean,
  ) {}

  /** a * b + c. */
  madd(a: V128, b: V128, c: V128): V128 {
    return this.relaxed ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
  }

  /** c - a * b. */
  nmadd(a: V128, b: V128, c: V128): V128 {
    return this.relaxed ? f32x4.relaxedNmadd(a, b, c) : f32x4.sub(c, f32x4.mul(a, b));
  }

  /** c0 + c1 x + c2 x² + … by Horner's rule. */
  polynomial(x: V128, coefficients: readonly number[]): V128 {
    let sum = this.fn.float(coefficients[coefficients.length - 1]);
    for (let i = coefficients.length - 2; i >= 0; i--) sum = this.madd(sum, x, this.fn.float(coefficients[i]));
    return sum;
  }

  /** x limited to [low, high]; NaN stays NaN. */
  private clamp(x: V128, low: number, high: number): V128 {
    return f32x4.pmax(f32x4.pmin(x, this.fn.float(high)), this.fn.float(low));
  }

  /**
   * x = n ln 2 + r with |r| <= ln 2 / 2: n as int32 lanes and e^r - 1. Adding 1.5 * 2^23 rounds x / ln 2 to an integer,
   * which then stands in the low bits. |x| must be below 2^21.
   */
  private reduceExp(x: V128): { n: V128; em1: V128 } {
    const { fn } = this;
    const magic = fn.float(12582912);
    const t = fn.let(this.madd(x, fn.float(Math.LOG2E), magic));
    const k = fn.let(f32x4.sub(t, magic));
    const r = fn.let(this.nmadd(k, fn.float(-2.1219444e-4), this.nmadd(k, fn.float(0.693359375), x)));
    const p = this.polynomial(r, [0.5, 0.16666545, 0.0416664034, 0.00836640503, 0.0013940644]);
    return { n: fn.let(i32x4.sub(t, magic)), em1: fn.let(this.madd(p, f32x4.mul(r, r), r)) };
  }

  /** 2^n for n in [-127, 128]: 0 and infinity at the ends. */
  private powerOfTwo(n: V128): V128 {
    return i32x4.shl(i32x4.add(n, this.fn.int(127)), i32.const(23));
  }

  exp(x: V128): V128 {
    const { fn } = this;
    const { n, em1 } = this.reduceExp(fn.let(this.clamp(x, -104, 89)));
    // In two factors: the power itself may be beyond the normal numbers where the result isn't.
    const half = fn.let(i32x4.shrS(n, i32.const(1)));
    const value = f32x4.mul(f32x4.add(em1, fn.float(1)), this.powerOfTwo(half));
    return fn.let(f32x4.mul(value, this.powerOfTwo(i32x4.sub(n, half))));
  }

  /** 2^n (e^r - 1) + (2^n - 1), at half scale so that 2^128 does not come up. */
  expm1(x: V128): V128 {
    const { fn } = this;
    const { n, em1 } = this.reduceExp(fn.let(this.clamp(x, -18, 88.9)));
    const s = fn.let(this.powerOfTwo(i32x4.sub(n, fn.int(1))));
    const half = this.madd(s, em1, f32x4.sub(s, fn.float(0.5)));
    return fn.let(f32x4.add(fn.let(half), half));
  }

  /**
   * ln(1 + f) for s = f / (2 + f): f - (f²/2 - s (f²/2 + R)), R = s² (…), |s| <= 0.1716; `low` is added before the
   * large terms.
   */
  private logSeries(f: V128, low: V128): V128 {
    const { fn } = this;
    const s = fn.let(f32x4.div(f, f32x4.add(f, fn.float(2))));
    const z = fn.let(f32x4.mul(s, s));
    const halfSquare = fn.let(f32x4.mul(f32x4.mul(f, f), fn.float(0.5)));
    const rest = f32x4.mul(z, this.polynomial(z, [0.666667759, 0.399775684, 0.298714608]));
    return f32x4.sub(f, f32x4.sub(halfSquare, this.madd(s, f32x4.add(halfSquare, rest), low)));
  }

  /** x = 2^e m with m in [sqrt(1/2), sqrt(2)): e as float32 lanes, and m - 1. x positive and normal. */
  private splitLog(x: V128): { e: V128; f: V128 } {
    const { fn } = this;
    const sqrtHalf = fn.int(0x3f3504f3);
    const offset = fn.let(i32x4.sub(x, sqrtHalf));
    const e = fn.let(f32x4.fromI32(i32x4.shrS(offset, i32.const(23))));
    const m = i32x4.add(v128.and(offset, fn.int(0x007fffff)), sqrtHalf);
    return { e, f: fn.let(f32x4.sub(m, fn.float(1))) };
  }

  log(x: V128): V128 {
    const { fn } = this;
    const tiny = fn.let(f32x4.lt(x, fn.float(2 ** -126)));
    const scaled = fn.let(v128.select(tiny, f32x4.mul(x, fn.float(2 ** 23)), x));
    const { e: e0, f } = this.splitLog(scaled);
    const e = fn.let(f32x4.sub(e0, v128.and(tiny, fn.float(23))));
    const value = this.madd(e, fn.float(0.693359375), this.logSeries(f, f32x4.mul(e, fn.float(-2.1219444e-4))));
    return this.logSpecials(x, fn.let(value));
  }

  /** Infinity and NaN pass, zero gives -infinity, negative numbers NaN. */
  private logSpecials(x: V128, value: V128): V128 {
    const { fn } = this;
    const finite = f32x4.lt(x, fn.float(Infinity));
    const withLarge = fn.let(v128.select(finite, value, x));
    const negative = f32x4.lt(x, fn.float(0));
    const orNaN = fn.let(v128.or(withLarge, negative));
    return fn.let(v128.select(f32x4.eq(x, fn.float(0)), fn.float(-Infinity), orNaN));
  }

  /**
   * As log(1 + x), with the rounding error of 1 + x put back: u = 1 + x, ln(1 + x) = ln u + (x - (u - 1)) / u to first
   * order.
   */
  log1p(x: V128): V128 {
    const { fn } = this;
    const one = fn.float(1);
    const u = fn.let(f32x4.add(x, one));
    const { e, f: f0 } = this.splitLog(u);
    const direct = fn.let(f32x4.eq(e, fn.float(0)));
    const f = fn.let(v128.select(direct, x, f0));
    const uLarge = f32x4.ge(e, fn.float(2));
    const lost = v128.select(uLarge, f32x4.sub(one, f32x4.sub(u, x)), f32x4.sub(x, f32x4.sub(u, one)));
    const correction = fn.let(v128.andnot(f32x4.div(lost, u), direct));
    const low = this.madd(e, fn.float(-2.1219444e-4), correction);
    const value = fn.let(this.madd(e, fn.float(0.693359375), this.logSeries(f, low)));
    const special = this.logSpecials(u, value);
    return fn.let(v128.select(f32x4.eq(x, fn.float(0)), x, special));
  }

  /** -t / (2 + t) with t = e^(-2|x|) - 1, and the sign of x. */
  tanh(x: V128): V128 {
    const { fn } = this;
    const t = this.expm1(fn.let(f32x4.mul(f32x4.abs(x), fn.float(-2))));
    const magnitude = f32x4.div(f32x4.neg(t), f32x4.add(t, fn.float(2)));
    return this.withSign(magnitude, x);
  }

  private withSign(magnitude: V128, x: V128): V128 {
    return this.fn.let(v128.select(this.fn.int(-0x80000000), x, magnitude));
  }

  sigmoid(x: V128): V128 {
    const { fn } = this;
    const e = this.exp(fn.let(f32x4.neg(x)));
    return fn.let(f32x4.div(fn.float(1), f32x4.add(e, fn.float(1))));
  }

  /** max(x, 0) + ln(1 + t), t = e^-|x|; ln(1 + t) = 2 atanh(t / (2 + t)), argument <= 1/3. x itself above 20. */
  softplus(x: V128): V128 {
    const { fn } = this;
    const t = this.exp(fn.let(f32x4.neg(f32x4.abs(x))));
    const s = fn.let(f32x4.div(t, f32x4.add(t, fn.float(2))));
    const z = fn.let(f32x4.mul(s, s));
    const series = this.polynomial(z, [0.666664124, 0.400217503, 0.27998212, 0.280294299]);
    const log = this.madd(f32x4.mul(s, z), series, f32x4.add(s, s));
    const value = f32x4.add(f32x4.pmax(fn.float(0), x), log);
    const small = f32x4.le(x, fn.float(20));
    return fn.let(v128.select(small, value, x));
  }

  /** |x| < 0.92: x + x P(x²). Above: 1 - exp(-Q(|x|)), where Q = -ln erfc. */
  erf(x: V128): V128 {
    const { fn } = this;
    const z = fn.let(f32x4.mul(x, x));
    const near = this.polynomial(
      z,
      [0.128379151, -0.376124948, 0.112818047, -0.0267658047, 0.00499164127, -0.000598180748],
    );
    const small = fn.let(this.madd(near, x, x));
    const t = fn.let(f32x4.abs(x));
    const q = this.polynomial(
      fn.let(f32x4.pmin(t, fn.float(4))),
      [0.000195693268, 1.12767553, 0.637182415, 0.103931472, -0.0222268924, 0.00304322666, -0.000195941058],
    );
    const large = this.withSign(f32x4.sub(fn.float(1), this.exp(fn.let(f32x4.neg(q)))), x);
    return fn.let(v128.select(f32x4.ge(t, fn.float(0.92)), large, small));
  }

  /**
   * sin (quarter 0) or cos (quarter 1) of r + n pi/2 for reduced r, |r| <= pi/4, and the low bits of n in int32 lanes.
   */
  sinOfReduced(r: V128, n: V128): V128 {
    const { fn } = this;
    const z = fn.let(f32x4.mul(r, r));
    const sine = fn.let(
      this.madd(this.polynomial(z, [-0.166666552, 0.00833218824, -0.000195180954]), f32x4.mul(z, r), r),
    );
    const tail = this.polynomial(z, [0.0416666456, -0.00138873095, 2.44323273e-5]);
    const cosine = fn.let(this.madd(tail, f32x4.mul(z, z), this.nmadd(z, fn.float(0.5), fn.float(1))));
    const odd = i32x4.ne(v128.and(n, fn.int(1)), fn.int(0));
    const sign = i32x4.shl(v128.and(n, fn.int(2)), i32.const(30));
    return fn.let(v128.xor(v128.select(odd, cosine, sine), sign));
  }
}
