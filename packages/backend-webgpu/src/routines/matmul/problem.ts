import type { DType, RoutineCall } from '@mamba-ts/tensor';
import { inputSpec } from '../../routine';

/** One factor: `outer` rows (of a) or columns (of b) by `k` elements, one of the two contiguous in memory. */
export interface Factor {
  readonly name: 'a' | 'b';
  readonly dtype: DType;
  readonly outer: number;
  readonly k: number;
  /** Which index is contiguous. */
  readonly along: 'outer' | 'k';
  /** The same matrix for every one of the batch. */
  readonly shared: boolean;
  /** Elements from one line of contiguous ones to the next, and before the first line: more than a line holds, and than 0, in a view. */
  readonly pitch: number;
  readonly offset: number;
  /** Four contiguous elements are read at once. */
  readonly vectors: boolean;
}

/** A matrix product (batch, m, k) by (batch, k, n). */
export interface Problem {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Factor;
  readonly b: Factor;
}

/** @param scalar factors that must be read element by element, because something else reads the same memory that way */
export function problemOf(call: RoutineCall, scalar: { readonly a: boolean; readonly b: boolean } = { a: false, b: false }): Problem {
  const [batch, m, n] = call.outputs[0].shape;
  const [specA, specB] = [inputSpec(call, 0), inputSpec(call, 1)];
  const { transposeA, transposeB } = call.attributes;
  const k = transposeA ? specA.shape[1] : specA.shape[2];
  const factor = (name: 'a' | 'b', spec: typeof specA, outer: number, outerFirst: boolean): Factor => {
    // A single row or column that is no view is contiguous along k either way.
    const along = outerFirst || (outer === 1 && !spec.view) ? 'k' : 'outer';
    const line = along === 'k' ? k : outer;
    const { pitch, offset } = spec.view ?? { pitch: line, offset: 0 };
    const vectors = [line, pitch, offset].every((x) => x % 4 === 0) && k > 0 && !scalar[name];
    return { name, dtype: spec.dtype, outer, k, along, shared: spec.shape[0] === 1, pitch, offset, vectors };
  };
  return { batch, m, n, k, a: factor('a', specA, m, !transposeA), b: factor('b', specB, n, Boolean(transposeB)) };
}

export function factorType({ dtype, vectors }: Factor): 'f32' | 'u32' | 'vec4<f32>' | 'vec2<u32>' {
  if (dtype === 'float32') return vectors ? 'vec4<f32>' : 'f32';
  return vectors ? 'vec2<u32>' : 'u32';
}

/** WGSL expression of the first element that `batch` reads. */
export function firstElement({ outer, k, along, shared, pitch, offset }: Factor): string {
  const start = shared ? '' : `batch * ${(along === 'k' ? outer : k) * pitch}u`;
  return [start, ...(offset > 0 || shared ? [`${offset}u`] : [])].filter((s) => s).join(' + ');
}

/** WGSL expression of the element of a factor at element number `at`. */
export function elementAt({ name, dtype }: Factor, at: string): string {
  if (dtype === 'float32') return `${name}[${at}]`;
  return `from_${dtype}((${name}[(${at}) / 2u] >> (((${at}) & 1u) * 16u)) & 0xffffu)`;
}

/** WGSL expression of vector number `index` of a factor: four elements. */
export function vectorOf({ name, dtype }: Factor, index: string): string {
  return dtype === 'float32' ? `${name}[${index}]` : `widen_${name}(${name}[${index}])`;
}

/** WGSL expression of the four elements from element number `at`, a multiple of 4. */
export function vectorAt(factor: Factor, at: string): string {
  return vectorOf(factor, `(${at}) / 4u`);
}

/** Functions that `vectorOf` and `vectorAt` call. */
export function widening(factor: Factor): string {
  if (factor.dtype === 'float32' || !factor.vectors) return '';
  const half = (word: string, shift: string): string => `from_${factor.dtype}(${shift === '0' ? `w.${word} & 0xffffu` : `w.${word} >> 16u`})`;
  return `fn widen_${factor.name}(w: vec2<u32>) -> vec4<f32> {
  return vec4<f32>(${half('x', '0')}, ${half('x', '1')}, ${half('y', '0')}, ${half('y', '1')});
}`;
}

/**
 * `load_a(batch, o, p)`: four contiguous elements from (outer o, k p) on, zeros beyond k. Outer indices beyond the matrix read its last ones, whose
 * results are not stored.
 */
export function blockLoader(factor: Factor): string {
  const { name, outer, k, along, pitch, vectors } = factor;
  const lines = [`fn load_${name}(batch: u32, o: u32, p: u32) -> vec4<f32> {`];
  if (k === 0) return `${lines[0]}\n  return vec4<f32>();\n}`;
  if (along === 'k') {
    lines.push(`  let row = ${firstElement(factor)} + min(o, ${outer - 1}u) * ${pitch}u;`);
    if (vectors) lines.push(`  if (p >= ${k}u) { return vec4<f32>(); }`, `  return ${vectorAt(factor, 'row + p')};`);
    else {
      const one = elementAt(factor, 'row + p + e');
      lines.push('  var v = vec4<f32>();', `  for (var e = 0u; e < 4u; e++) { if (p + e < ${k}u) { v[e] = ${one}; } }`, '  return v;');
    }
  } else {
    lines.push(`  if (p >= ${k}u) { return vec4<f32>(); }`, `  let row = ${firstElement(factor)} + p * ${pitch}u;`);
    if (vectors) lines.push(`  return ${vectorAt(factor, `row + min(o, ${outer - 4}u)`)};`);
    else {
      const one = elementAt(factor, `row + min(o + e, ${outer - 1}u)`);
      lines.push('  var v = vec4<f32>();', `  for (var e = 0u; e < 4u; e++) { v[e] = ${one}; }`, '  return v;');
    }
  }
  return `${widening(factor)}\n${lines.join('\n')}\n}`;
}
