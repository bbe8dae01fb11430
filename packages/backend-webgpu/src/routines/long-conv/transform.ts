import type { Pass, PassBinding } from '../../pass';

/**
 * Fourier transforms in workgroup memory. Two neighbouring channels are one complex signal (channel 2p real, 2p + 1 imaginary) of N = 2^bits
 * elements, padded with zeros. Forward transforms leave their result in bit-reversed order and inverse ones start from it, so nothing is permuted.
 */
export interface Transform {
  readonly bits: number;
  readonly threads: number;
}

const size = ({ bits }: Transform): number => 2 ** bits;

/** Bytes of workgroup memory. */
export function transformBytes(bits: number): number {
  return 2 ** bits * 8;
}

export function transformOf(bits: number): Transform {
  return { bits, threads: Math.min(256, Math.max(32, 2 ** (bits - 1))) };
}

/** Bytes of the spectra of (rows, channels) signals. */
export function spectraBytes(t: Transform, rows: number, channels: number): number {
  return rows * Math.ceil(channels / 2) * size(t) * 8;
}

/** `elements` complex numbers of workgroup memory, and arithmetic. */
export function declarations(elements: number): string {
  return `var<workgroup> z: array<vec2<f32>, ${elements}>;
fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> { return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn conjugate(a: vec2<f32>) -> vec2<f32> { return vec2<f32>(a.x, -a.y); }`;
}

/** Transforms every block of 2^bits of the `elements` in z. The pairs of a stage are a = z[low], b = z[high] with w = e^{∓ i π place / half}. */
export function stages(bits: number, elements: number, threads: number, inverse: boolean): string {
  const block = 2 ** bits;
  const [from, until, next] = inverse ? ['1u', `half < ${block}u`, 'half * 2u'] : [`${block / 2}u`, 'half > 0u', 'half / 2u'];
  const pair = inverse
    ? 'let b = times(z[high], w);\n      z[low] = a + b;\n      z[high] = a - b;'
    : 'let b = z[high];\n      z[low] = a + b;\n      z[high] = times(a - b, w);';
  return `  for (var half = ${from}; ${until}; half = ${next}) {
    workgroupBarrier();
    for (var j = lane; j < ${elements / 2}u; j += ${threads}u) {
      let place = j % half;
      let low = (j / half) * 2u * half + place;
      let high = low + half;
      let angle = ${inverse ? '' : '-'}3.14159265 * f32(place) / f32(half);
      let w = vec2<f32>(cos_f(angle), sin_f(angle));
      let a = z[low];
      ${pair}
    }
  }
  workgroupBarrier();`;
}

/** Into `v`: element i of channels c and c + 1 of a row of `signal`, zero from `used` on. */
export function readPair(length: number, used: number, channels: number): string {
  const second = channels % 2 === 0 ? 'v.y = signal[at + 1u];' : `if (c + 1u < ${channels}u) { v.y = signal[at + 1u]; }`;
  return `var v = vec2<f32>();
    if (i < ${used}u) {
      let at = (row * ${length}u + i) * ${channels}u + c;
      v.x = signal[at];
      ${second}
    }`;
}

/** `v` as element i of channels c and c + 1 of a row of `out`. */
export function writePair(length: number, channels: number): string {
  return `let at = (row * ${length}u + i) * ${channels}u + c;
    out[at] = v.x;
    ${channels % 2 === 0 ? 'out[at + 1u] = v.y;' : `if (c + 1u < ${channels}u) { out[at + 1u] = v.y; }`}`;
}

/**
 * Into `sum`: the product of two spectra, each of two channels, at element i and its mirrored frequency at element `mirror`, added up over rows. Each
 * channel's spectra are parted from its neighbour's, multiplied (by the conjugate of the second if `correlate`), and joined again, scaled by 4.
 * @param pairs of channels that a row of the spectra has; `pair` names the one in question
 */
export function productOfSpectra(n: number, pairs: number, summed: number, correlate: boolean, shared: boolean): string {
  const other = correlate ? 'conjugate' : '';
  return `var sum = vec2<f32>();
    for (var s = 0u; s < ${summed}u; s++) {
      let p = ((row * ${summed}u + s) * ${pairs}u + pair) * ${n}u;
      let q = ${shared ? 'pair' : `((row * ${summed}u + s) * ${pairs}u + pair)`} * ${n}u;
      let a = first[p + i];
      let a_mirror = conjugate(first[p + mirror]);
      let b = second[q + i];
      let b_mirror = conjugate(second[q + mirror]);
      // Sums are twice the real channel's spectra, differences 2i times the imaginary one's.
      let d = times(a - a_mirror, ${other}(b - b_mirror));
      sum += times(a + a_mirror, ${other}(b + b_mirror)) + ${correlate ? 'vec2<f32>(-d.y, d.x)' : 'vec2<f32>(d.y, -d.x)'};
    }`;
}

/** Spectra of \`signal\` (rows, length, channels), of which the first `used` elements count: `spectra` [row][pair][N]. */
export function forwardPass(t: Transform, rows: number, length: number, used: number, channels: number, signal: PassBinding, spectra: PassBinding): Pass {
  const n = size(t);
  const pairs = Math.ceil(channels / 2);
  return {
    label: `wgsl fft of ${n}`,
    bindings: [{ ...signal, name: 'signal' }, { ...spectra, name: 'spectra', writes: true }],
    declarations: declarations(n),
    body: `  let c = (group % ${pairs}u) * 2u;
  let row = group / ${pairs}u;
  for (var i = lane; i < ${n}u; i += ${t.threads}u) {
    ${readPair(length, used, channels)}
    z[i] = v;
  }
${stages(t.bits, n, t.threads, false)}
  for (var i = lane; i < ${n}u; i += ${t.threads}u) { spectra[group * ${n}u + i] = z[i]; }`,
    workgroupSize: t.threads,
    workgroups: rows * pairs,
  };
}

export interface Product {
  readonly rows: number;
  /** Elements of a row of the result, the first `used` of which can differ from zero. */
  readonly length: number;
  readonly used: number;
  readonly channels: number;
  /** Rows of spectra that are summed for one of the result. */
  readonly summed: number;
  readonly correlate: boolean;
  /** One row of `second` serves all. */
  readonly shared: boolean;
}

/** Products of spectra, back in time: out (rows, length, channels). */
export function inversePass(
  t: Transform,
  { rows, length, used, channels, summed, correlate, shared }: Product,
  first: PassBinding,
  second: PassBinding,
  out: PassBinding,
): Pass {
  const n = size(t);
  const pairs = Math.ceil(channels / 2);
  return {
    label: `product of spectra, fft of ${n} back`,
    bindings: [{ ...first, name: 'first', writes: false }, { ...second, name: 'second', writes: false }, { ...out, name: 'out' }],
    declarations: declarations(n),
    body: `  let pair = group % ${pairs}u;
  let c = pair * 2u;
  let row = group / ${pairs}u;
  for (var i = lane; i < ${n}u; i += ${t.threads}u) {
    // The mirrored frequency -k, at its bit-reversed place.
    let k = reverseBits(i) >> ${32 - t.bits}u;
    let mirror = reverseBits((${n}u - k) % ${n}u) >> ${32 - t.bits}u;
    ${productOfSpectra(n, pairs, summed, correlate, shared)}
    z[i] = sum * ${0.25 / n};
  }
${stages(t.bits, n, t.threads, true)}
  for (var i = lane; i < ${length}u; i += ${t.threads}u) {
    var v = vec2<f32>();
    if (i < ${used}u) { v = z[i]; }
    ${writePair(length, channels)}
  }`,
    workgroupSize: t.threads,
    workgroups: rows * pairs,
  };
}
