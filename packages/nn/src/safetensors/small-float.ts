/**
 * Floating-point formats narrower than float32, to and from float64. Decoding is a table lookup away from exact;
 * encoding rounds once, to nearest, ties to even.
 */
export interface SmallFloat {
  readonly bits: 8 | 16;
  readonly exponentBits: number;
  readonly mantissaBits: number;
  /** Whether the top exponent holds infinities and NaNs (IEEE 754), or numbers up to one NaN (the "fn" formats). */
  readonly ieee: boolean;
}

export const smallFloats: Readonly<Record<'F16' | 'BF16' | 'F8_E4M3' | 'F8_E5M2', SmallFloat>> = {
  F16: { bits: 16, exponentBits: 5, mantissaBits: 10, ieee: true },
  BF16: { bits: 16, exponentBits: 8, mantissaBits: 7, ieee: true },
  F8_E4M3: { bits: 8, exponentBits: 4, mantissaBits: 3, ieee: false },
  F8_E5M2: { bits: 8, exponentBits: 5, mantissaBits: 2, ieee: true },
};

/** The number that `code` stands for. */
export function decodeSmallFloat(code: number, format: SmallFloat): number {
  const { exponentBits, mantissaBits, ieee, bits } = format;
  const sign = code >>> (bits - 1) === 0 ? 1 : -1;
  const topExponent = 2 ** exponentBits - 1;
  const exponent = (code >>> mantissaBits) & topExponent;
  const mantissa = code & (2 ** mantissaBits - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === topExponent) {
    if (ieee) return mantissa === 0 ? sign * Infinity : NaN;
    if (mantissa === 2 ** mantissaBits - 1) return NaN;
  }
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (2 ** mantissaBits + mantissa) * 2 ** (exponent - bias - mantissaBits);
}

const scratch = new DataView(new ArrayBuffer(8));

/**
 * The code nearest to `value`, ties to the even code. Values past the largest number become infinity where the format
 * has one, else NaN (as PyTorch casts to float8_e4m3fn). Every NaN becomes the positive quiet one.
 */
export function encodeSmallFloat(value: number, format: SmallFloat): number {
  const { exponentBits, mantissaBits, ieee, bits } = format;
  const topExponent = 2 ** exponentBits - 1;
  const bias = 2 ** (exponentBits - 1) - 1;
  const nan = ieee ? (topExponent << mantissaBits) | (1 << (mantissaBits - 1)) : 2 ** (bits - 1) - 1;
  if (Number.isNaN(value)) return nan;
  const sign = value < 0 || Object.is(value, -0) ? 1 << (bits - 1) : 0;
  const magnitude = Math.abs(value);
  const overflow = ieee ? sign | (topExponent << mantissaBits) : sign | nan;
  if (magnitude === Infinity) return overflow;
  // The exponent of the value, not below that of the format's subnormals; one unit in the last place is then exact.
  scratch.setFloat64(0, magnitude);
  const exponent = Math.max((scratch.getUint32(0) >>> 20) - 1023, 1 - bias);
  const steps = magnitude / 2 ** (exponent - mantissaBits);
  let rounded = Math.floor(steps);
  const rest = steps - rounded;
  if (rest > 0.5 || (rest === 0.5 && rounded % 2 === 1)) rounded++;
  // Codes count the numbers in order, so a mantissa that rounds up to 2 carries into the exponent by itself.
  const code = (exponent + bias - 1) * 2 ** mantissaBits + rounded;
  const largest = ieee ? topExponent * 2 ** mantissaBits - 1 : nan - 1;
  return code > largest ? overflow : sign | code;
}

const tables = new Map<SmallFloat, Float32Array>();

/** Every code's number; each of these formats fits in float32. */
export function decodingTable(format: SmallFloat): Float32Array {
  let table = tables.get(format);
  if (table === undefined) {
    table = Float32Array.from({ length: 2 ** format.bits }, (_, code) => decodeSmallFloat(code, format));
    tables.set(format, table);
  }
  return table;
}

/** The words of float32 numbers. */
function wordsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/**
 * `encodeSmallFloat` to BF16 for float32, by the bits, which is far faster: bfloat16 is the upper half of float32, so
 * add half a unit (less one where the code is even) and cut.
 */
export function bfloat16Codes(values: Float32Array): Uint16Array {
  const words = wordsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const word = words[i]!;
    const isNaNWord = (word & 0x7fffffff) > 0x7f800000;
    out[i] = isNaNWord ? 0x7fc0 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

const one = new Float32Array(1);
const oneWord = wordsOf(one);

/** `encodeSmallFloat` to F16 for float32, by the bits. */
export function float16Codes(values: Float32Array): Uint16Array {
  const words = wordsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const word = words[i]!;
    const sign = (word >>> 16) & 0x8000;
    const magnitude = word & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      out[i] = 0x7e00;
    } else if (magnitude >= 0x477ff000) {
      out[i] = sign | 0x7c00; // 65520 and over
    } else if (magnitude >= 0x38800000) {
      // Normal: round to the 13th bit, and take off the difference of the exponents' biases, 112.
      out[i] = sign | ((magnitude - 0x38000000 + 0x0fff + ((magnitude >>> 13) & 1)) >>> 13);
    } else {
      // Below 2^-14 the codes count steps of 2^-24, and so do the last bits of 0.5 + value: storing it rounds.
      one[0] = Math.abs(values[i]!) + 0.5;
      out[i] = sign | (oneWord[0]! - 0x3f000000);
    }
  }
  return out;
}
