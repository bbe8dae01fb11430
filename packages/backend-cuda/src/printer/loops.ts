import type { Coordinate } from './addressing';
import type { Operand, PtxCode } from './code';

/**
 * Loop indices of a position in row-major order over `sizes`. Only those with `needed` are computed. The position counts groups of `vector`
 * points along the last loop.
 */
export function decompose(code: PtxCode, position: Operand, sizes: readonly number[], needed: readonly boolean[], vector: number): Coordinate[] {
  const coordinates: Coordinate[] = sizes.map(() => ({ register: null, constant: 0 }));
  let rest = position;
  const first = needed.indexOf(true);
  if (first < 0) return coordinates;
  for (let d = sizes.length - 1; d >= first; d--) {
    const size = d === sizes.length - 1 ? sizes[d] / vector : sizes[d];
    let own = rest;
    if (d > 0) {
      // In front of the first needed loop the quotient is of no use, but its remainder is.
      const quotient = code.op('r', 'div.u32', rest, size);
      if (needed[d]) own = code.op('r', 'sub.u32', rest, code.op('r', 'mul.lo.u32', quotient, size));
      rest = quotient;
    }
    if (!needed[d] || size === 1) continue;
    const register = d === sizes.length - 1 && vector > 1 ? code.op('r', 'shl.b32', own, Math.log2(vector)) : own;
    coordinates[d] = { register, constant: 0 };
  }
  return coordinates;
}
