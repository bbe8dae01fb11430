/* Half-precision storage formats: conversions with round to nearest even. */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** float → bfloat16 bits: the upper half of a float32. */
export function toBFloat16(x: number): number {
  float[0] = x;
  const u = bits[0];
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40; // NaN stays NaN
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

export function fromBFloat16(h: number): number {
  bits[0] = h << 16;
  return float[0];
}

/** float → float16 bits (IEEE binary16), with subnormals, infinities and NaN. */
export function toFloat16(x: number): number {
  float[0] = x;
  const u = bits[0];
  const sign = (u >>> 16) & 0x8000;
  const magnitude = u & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more
  if (magnitude < 0x38800000) {
    // Subnormal: units of 2^-24; the float64 sum rounds to nearest even by itself.
    const units = Math.abs(float[0]) * 2 ** 24;
    const floor = Math.floor(units);
    const rest = units - floor;
    return sign | (floor + Number(rest > 0.5 || (rest === 0.5 && (floor & 1) === 1)));
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

export function fromFloat16(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >>> 10) & 31;
  const fraction = h & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
