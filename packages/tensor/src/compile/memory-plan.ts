/** A temporary: alive from the step that writes it first to the step that reads it last, both included. */
export interface Lifetime {
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Byte offsets in one arena, so that temporaries that are alive together never overlap. Largest first, each at the lowest gap that fits: within
 * a few percent of the lower bound (the peak of live bytes) on training steps. Offsets are multiples of `alignment` bytes.
 */
export function planMemory(lifetimes: readonly Lifetime[], alignment: number = 64): { offsets: number[]; bytes: number } {
  const offsets = new Array<number>(lifetimes.length).fill(0);
  const order = lifetimes.map((_, i) => i).filter((i) => lifetimes[i].bytes > 0);
  order.sort((a, b) => lifetimes[b].bytes - lifetimes[a].bytes || lifetimes[a].first - lifetimes[b].first);
  const placed: number[] = [];
  let total = 0;
  for (const i of order) {
    const { bytes, first, last } = lifetimes[i];
    const size = Math.ceil(bytes / alignment) * alignment;
    const rivals = placed.filter((j) => lifetimes[j].first <= last && lifetimes[j].last >= first).sort((a, b) => offsets[a] - offsets[b]);
    let at = 0;
    for (const j of rivals) {
      if (at + size <= offsets[j]) break;
      at = Math.max(at, offsets[j] + Math.ceil(lifetimes[j].bytes / alignment) * alignment);
    }
    offsets[i] = at;
    total = Math.max(total, at + size);
    placed.push(i);
  }
  return { offsets, bytes: total };
}
