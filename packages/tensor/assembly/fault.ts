// The fault record (src/cpu/fault.ts): i32 kind, value, position, limit. The first thread that finds a bad value writes it.

export function raise(record: usize, kind: i32, value: i32, position: i32, limit: i32): void {
  if (atomic.cmpxchg<i32>(record, 0, kind) != 0) return;
  store<i32>(record + 4, value);
  store<i32>(record + 8, position);
  store<i32>(record + 12, limit);
}
