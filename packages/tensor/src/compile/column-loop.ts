import type { Shape } from '../shape';
import type { Access } from './kernel';

type Walk = Pick<Access, 'offset' | 'strides' | 'guards'>;

/** Points along the loop: one thread holds the elements of all of them. */
const longest = 8;

/**
 * The loop along which a kernel that replaces an array by another of its elements moves them: a window that shifts. If one thread takes all points
 * along it, loads before stores, the new elements may lie where the old ones did. Null if there is no such loop, or elements move otherwise.
 */
export function columnLoop(domain: Shape, loads: readonly Walk[], store: Walk): number | null {
  for (const [loop, size] of domain.entries()) {
    const stride = store.strides[loop];
    if (size === 1 || size > longest || stride === 0) continue;
    const within = (load: Walk): boolean => {
      const shift = (load.offset - store.offset) / stride;
      if (!Number.isInteger(shift) || !load.strides.every((s, d) => s === store.strides[d] || domain[d] === 1)) return false;
      // Every element that is really read belongs to the same column.
      const own = load.guards.filter((g) => g.strides.every((s, d) => s === 0 || d === loop || domain[d] === 1));
      return Array.from({ length: size }, (_, at) => at).every((at) => {
        const reads = own.every((g) => g.offset + g.strides[loop] * at >= 0 && g.offset + g.strides[loop] * at < g.size);
        return !reads || (at + shift >= 0 && at + shift < size);
      });
    };
    if (store.guards.length === 0 && loads.every(within)) return loop;
  }
  return null;
}
