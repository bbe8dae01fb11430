/**
 * Records a fault (src/cpu/fault.ts: kind, value, position, limit) unless one is there already. One thread wins; it
 * alone writes the rest.
 */
export function recordFault(record: usize, kind: i32, value: i32, position: i32, limit: i32): void {
  if (atomic.cmpxchg<i32>(record, 0, kind) != 0) return;
  store<i32>(record, value, 4);
  store<i32>(record, position, 8);
  store<i32>(record, limit, 12);
}
