// One row against many: out[j] = few . many[j], bound by reading `many` once. A core keeps only so many lines of one
// sequential stream in flight, so the rows are read as four streams, a quarter of them apart: about half again as fast
// from memory as one stream on a Zen 3, in float32 and in halves, and what is loaded of `few` serves four rows. Streams
// that are neighbouring rows are slower than one stream.
import { BFLOAT16, FLOAT, FLOAT16, highHalf, loadSome, lowHalf, shiftOf, zeros } from '../half';
import { madd, zero, laneSum, loadLanes } from '../vector';

/** `count` rows of `many`, `k` terms each, their results `outMany` bytes apart. `type`: element type of many. */
export function dotStreams(k: i32, count: i32, few: usize, many: usize, out: usize, outMany: usize, type: i32): void {
  if (type == FLOAT) streamFloats(k, count, few, many, out, outMany);
  else if (type == BFLOAT16) streamBFloat16(k, count, few, many, out, outMany);
  else streamFloat16(k, count, few, many, out, outMany);
}

function streamFloats(k: i32, count: i32, few: usize, many: usize, out: usize, outMany: usize): void {
  streamAs(k, count, few, many, out, outMany, FLOAT);
}
function streamBFloat16(k: i32, count: i32, few: usize, many: usize, out: usize, outMany: usize): void {
  streamAs(k, count, few, many, out, outMany, BFLOAT16);
}
function streamFloat16(k: i32, count: i32, few: usize, many: usize, out: usize, outMany: usize): void {
  streamAs(k, count, few, many, out, outMany, FLOAT16);
}

@inline function streamAs(k: i32, count: i32, few: usize, many: usize, out: usize, outMany: usize, type: i32): void {
  const line = <usize>k << shiftOf(type), quarter = count >> 2;
  const apart = line * <usize>quarter, outApart = outMany * <usize>quarter;
  for (let j = 0; j < quarter; j++) {
    dotApart(k, few, many, apart, out, outApart, type);
    many += line;
    out += outMany;
  }
  many += apart * 3;
  out += outApart * 3;
  for (let j = quarter * 4; j < count; j++) {
    dotSingle(k, few, many, out, type);
    many += line;
    out += outMany;
  }
}

// Eight elements from `at`, of which the first 16 bytes are `x`: 0 to 3, then 4 to 7.
@inline function low(x: v128, type: i32, none: v128): v128 { return type == FLOAT ? x : lowHalf(x, type, none); }
@inline function high(at: usize, x: v128, type: i32, none: v128): v128 {
  return type == FLOAT ? v128.load(at, 16) : highHalf(x, type, none);
}

/** Four rows, `apart` bytes from one to the next. Each is summed exactly as dotSingle sums it. */
@inline function dotApart(k: i32, x: usize, w: usize, apart: usize, out: usize, outApart: usize, type: i32): void {
  let a0 = zero(), a1 = zero(), b0 = zero(), b1 = zero(), c0 = zero(), c1 = zero(), d0 = zero(), d1 = zero();
  const none = zeros(), step: usize = <usize>8 << shiftOf(type);
  const r2 = apart * 2, r3 = apart * 3;
  const end = x + (<usize>(k & ~7) << 2);
  while (x != end) {
    const x0 = v128.load(x), x1 = v128.load(x, 16);
    const a = v128.load(w), b = v128.load(w + apart), c = v128.load(w + r2), d = v128.load(w + r3);
    a0 = madd(low(a, type, none), x0, a0); a1 = madd(high(w, a, type, none), x1, a1);
    b0 = madd(low(b, type, none), x0, b0); b1 = madd(high(w + apart, b, type, none), x1, b1);
    c0 = madd(low(c, type, none), x0, c0); c1 = madd(high(w + r2, c, type, none), x1, c1);
    d0 = madd(low(d, type, none), x0, d0); d1 = madd(high(w + r3, d, type, none), x1, d1);
    w += step;
    x += 32;
  }
  for (k &= 7; k > 0; k -= 4) {
    const x0 = loadLanes(x, k);
    a0 = madd(loadSome(w, k, type), x0, a0);
    b0 = madd(loadSome(w + apart, k, type), x0, b0);
    c0 = madd(loadSome(w + r2, k, type), x0, c0);
    d0 = madd(loadSome(w + r3, k, type), x0, d0);
    w += step >> 1;
    x += 16;
  }
  store<f32>(out, laneSum(f32x4.add(a0, a1)));
  store<f32>(out + outApart, laneSum(f32x4.add(b0, b1)));
  store<f32>(out + outApart * 2, laneSum(f32x4.add(c0, c1)));
  store<f32>(out + outApart * 3, laneSum(f32x4.add(d0, d1)));
}

@inline function dotSingle(k: i32, x: usize, w: usize, out: usize, type: i32): void {
  let s0 = zero(), s1 = zero();
  const none = zeros(), step: usize = <usize>8 << shiftOf(type);
  const end = x + (<usize>(k & ~7) << 2);
  while (x != end) {
    const a = v128.load(w);
    s0 = madd(low(a, type, none), v128.load(x), s0);
    s1 = madd(high(w, a, type, none), v128.load(x, 16), s1);
    w += step;
    x += 32;
  }
  for (k &= 7; k > 0; k -= 4) {
    s0 = madd(loadSome(w, k, type), loadLanes(x, k), s0);
    w += step >> 1;
    x += 16;
  }
  store<f32>(out, laneSum(f32x4.add(s0, s1)));
}
