/** Threads that get a workspace of their own where a routine needs one; more threads than that stay idle in it. */
export const maxWorkers = 16;

/** Parameter structs are 32-bit fields in order: sizes, flags, byte addresses and byte distances. */
export function writeFields(view: DataView, at: number, fields: readonly number[]): void {
  // Wraps modulo 2^32, as the distances do.
  fields.forEach((value, index) => view.setUint32(at + 4 * index, value, true));
}

/** Rounds bytes up to whole cache lines, so that no two threads' workspaces share one. */
export function cacheLines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}
