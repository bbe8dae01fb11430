import type { Pass, PassBinding } from '../../pass';
import { declarations, type Product, productOfSpectra, readPair, stages, writePair } from './transform';

/**
 * Fourier transforms longer than workgroup memory, in two dispatches each (Bailey, FFTs in external or hierarchical memory, 1990). With N = N1 N2,
 * n = n1 N2 + n2 and k = k1 + N1 k2,
 *
 *   X[k] = sum over n2 of e^{-2 pi i n2 k2 / N2} e^{-2 pi i n2 k1 / N} (sum over n1 of e^{-2 pi i n1 k1 / N1} x[n]):
 *
 * transforms of N1 down the columns of an N1 by N2 matrix, factors, transforms of N2 along its rows. X[k] ends up at [k1][k2], both bit-reversed, where the
 * way back starts. Two channels are one complex signal, as in `transform.ts`.
 */
export interface LongTransform {
  readonly columnBits: number;
  readonly rowBits: number;
  /** Elements that a workgroup holds: some columns or some rows. */
  readonly held: number;
  readonly threads: number;
  /** Pairs of channels that are transformed at a time. */
  readonly pairs: number;
}

/** Rows of 2^11 leave room for several workgroups on a processor. */
const usualRowBits = 11;

/** @returns null where 2^bits is too long for that many elements of workgroup memory, twice over */
export function longTransformOf(bits: number, workgroupBytes: number, pairs: number): LongTransform | null {
  const most = Math.floor(Math.log2(workgroupBytes / 8));
  const rowBits = Math.max(Math.min(usualRowBits, most), bits - most);
  const columnBits = bits - rowBits;
  // Beyond 2^24, angles are no longer exact fractions.
  if (rowBits > most || columnBits < 1 || bits > 24) return null;
  const held = 2 ** Math.max(rowBits, columnBits);
  return { columnBits, rowBits, held, threads: Math.min(256, Math.max(32, held / 2)), pairs };
}

const length = (t: LongTransform): number => 2 ** (t.columnBits + t.rowBits);

/** Bytes of the spectra of `rows` rows. */
export function longSpectraBytes(t: LongTransform, rows: number): number {
  return rows * t.pairs * length(t) * 8;
}

/** e^{∓ 2 pi i k1 n2 / N} as `w`. */
function factor(t: LongTransform, inverse: boolean): string {
  const n = length(t);
  return `let turn = f32((k1 * n2) & ${n - 1}u) / ${n}.0;
    let angle = ${inverse ? '' : '-'}6.2831853 * (turn - round(turn));
    let w = vec2<f32>(cos_f(angle), sin_f(angle));`;
}

/** Loops over what a workgroup of a column pass holds: element (n1, n2) of the matrix is `place`, and z[held]. */
function overColumns(t: LongTransform, body: string): string {
  const across = t.held / 2 ** t.columnBits;
  return `  for (var j = lane; j < ${t.held}u; j += ${t.threads}u) {
    let n1 = j / ${across}u;
    let n2 = column0 + j % ${across}u;
    let held = (j % ${across}u) * ${2 ** t.columnBits}u + n1;
    let place = n1 * ${2 ** t.rowBits}u + n2;
    ${body}
  }`;
}

/** Where a workgroup of a column pass stands, the first of its pairs of channels being number `pair0` of all. */
function columnOrigin(t: LongTransform, pair0: number): string {
  const parts = length(t) / t.held;
  return `  let column0 = (group % ${parts}u) * ${t.held / 2 ** t.columnBits}u;
  let pair = (group / ${parts}u) % ${t.pairs}u;
  let row = group / ${parts * t.pairs}u;
  let c = (${pair0}u + pair) * 2u;
  let origin = (row * ${t.pairs}u + pair) * ${length(t)}u;`;
}

/** Down the columns: `signal` (rows, signalLength, channels), of which the first `used` elements count, to `spectra` [row][pair][N]. */
function columnPass(t: LongTransform, rows: number, signalLength: number, used: number, channels: number, pair0: number, signal: PassBinding, spectra: PassBinding): Pass {
  return {
    label: `wgsl fft of ${length(t)}, columns`,
    bindings: [{ ...signal, name: 'signal' }, { ...spectra, name: 'spectra', writes: true }],
    declarations: declarations(t.held),
    body: `${columnOrigin(t, pair0)}
${overColumns(t, `let i = place;\n    ${readPair(signalLength, used, channels)}\n    z[held] = v;`)}
${stages(t.columnBits, t.held, t.threads, false)}
${overColumns(t, `let k1 = reverseBits(n1) >> ${32 - t.columnBits}u;\n    ${factor(t, false)}\n    spectra[origin + place] = times(z[held], w);`)}`,
    workgroupSize: t.threads,
    workgroups: rows * t.pairs * (length(t) / t.held),
  };
}

/** Along the rows, in place. */
function rowPass(t: LongTransform, rows: number, spectra: PassBinding): Pass {
  const each = (body: string): string => `  for (var j = lane; j < ${t.held}u; j += ${t.threads}u) { ${body} }`;
  return {
    label: `wgsl fft of ${length(t)}, rows`,
    bindings: [{ ...spectra, name: 'spectra', writes: true }],
    declarations: declarations(t.held),
    body: `${each(`z[j] = spectra[group * ${t.held}u + j];`)}
${stages(t.rowBits, t.held, t.threads, false)}
${each(`spectra[group * ${t.held}u + j] = z[j];`)}`,
    workgroupSize: t.threads,
    workgroups: rows * t.pairs * (length(t) / t.held),
  };
}

/** Products of spectra, back along the rows, with the factors: to `back` [row][pair][N]. */
function productPass(t: LongTransform, { rows, summed, correlate, shared }: Product, first: PassBinding, second: PassBinding, back: PassBinding): Pass {
  const n = length(t);
  const [n1, n2] = [2 ** t.columnBits, 2 ** t.rowBits];
  const parts = n / t.held;
  return {
    label: `product of spectra, fft of ${n} back, rows`,
    bindings: [{ ...first, name: 'first', writes: false }, { ...second, name: 'second', writes: false }, { ...back, name: 'back', writes: true }],
    declarations: declarations(t.held),
    body: `  let begin = (group % ${parts}u) * ${t.held}u;
  let pair = (group / ${parts}u) % ${t.pairs}u;
  let row = group / ${parts * t.pairs}u;
  for (var j = lane; j < ${t.held}u; j += ${t.threads}u) {
    let i = begin + j;
    // The mirrored frequency -k: (N1 - k1, N2 - 1 - k2), but for the first row, which is mirrored in itself.
    let k1 = reverseBits(i / ${n2}u) >> ${32 - t.columnBits}u;
    let k2 = reverseBits(i % ${n2}u) >> ${32 - t.rowBits}u;
    let m1 = (${n1}u - k1) % ${n1}u;
    let m2 = (select(${n2 - 1}u, ${n2}u, k1 == 0u) - k2) % ${n2}u;
    let mirror = (reverseBits(m1) >> ${32 - t.columnBits}u) * ${n2}u + (reverseBits(m2) >> ${32 - t.rowBits}u);
    ${productOfSpectra(n, t.pairs, summed, correlate, shared)}
    z[j] = sum * ${0.25 / n};
  }
${stages(t.rowBits, t.held, t.threads, true)}
  for (var j = lane; j < ${t.held}u; j += ${t.threads}u) {
    let i = begin + j;
    let k1 = reverseBits(i / ${n2}u) >> ${32 - t.columnBits}u;
    let n2 = i % ${n2}u;
    ${factor(t, true)}
    back[(row * ${t.pairs}u + pair) * ${n}u + i] = times(z[j], w);
  }`,
    workgroupSize: t.threads,
    workgroups: rows * t.pairs * parts,
  };
}

/** Back down the columns: out (rows, length, channels). */
function backPass(t: LongTransform, product: Product, pair0: number, back: PassBinding, out: PassBinding): Pass {
  return {
    label: `fft of ${length(t)} back, columns`,
    bindings: [{ ...back, name: 'back', writes: false }, { ...out, name: 'out' }],
    declarations: declarations(t.held),
    body: `${columnOrigin(t, pair0)}
${overColumns(t, 'z[held] = back[origin + place];')}
${stages(t.columnBits, t.held, t.threads, true)}
${overColumns(t, `let i = place;
    if (i >= ${product.length}u) { continue; }
    var v = vec2<f32>();
    if (i < ${product.used}u) { v = z[held]; }
    ${writePair(product.length, product.channels)}`)}`,
    workgroupSize: t.threads,
    workgroups: product.rows * t.pairs * (length(t) / t.held),
  };
}

/** A signal (rows, length, channels), the first `used` elements of which count, and room for its spectra. */
export interface LongSignal {
  readonly rows: number;
  readonly length: number;
  readonly used: number;
  readonly memory: PassBinding;
  readonly spectra: PassBinding;
}

/** The product of both signals' spectra, back in time, some pairs of channels at a time. `back` is room for the spectra of `product.rows` rows. */
export function longProductPasses(t: LongTransform, product: Product, first: LongSignal, second: LongSignal, back: PassBinding, out: PassBinding): Pass[] {
  const passes: Pass[] = [];
  const all = Math.ceil(product.channels / 2);
  for (let pair0 = 0; pair0 < all; pair0 += t.pairs) {
    const part = { ...t, pairs: Math.min(t.pairs, all - pair0) };
    for (const s of [first, second]) {
      passes.push(columnPass(part, s.rows, s.length, s.used, product.channels, pair0, s.memory, s.spectra), rowPass(part, s.rows, s.spectra));
    }
    passes.push(productPass(part, product, first.spectra, second.spectra, back), backPass(part, product, pair0, back, out));
  }
  return passes;
}
