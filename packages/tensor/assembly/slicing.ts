// How work is cut among threads. No cut ever changes a result: what one slice computes doesn't depend on where it
// begins.

/** 32-bit field `index` of a parameter struct. */
@inline export function field(params: usize, index: i32): i32 { return load<i32>(params + (<usize>index << 2)); }
/** The same as an address or a byte distance. */
@inline export function address(params: usize, index: i32): usize {
  return <usize>load<u32>(params + (<usize>index << 2));
}
/** An optional array's part at a byte offset, 0 where the array is absent. */
@inline export function optional(params: usize, index: i32, offset: usize): usize {
  const at = address(params, index);
  return at == 0 ? at : at + offset;
}

/**
 * First of `count` items that slice `part` of `parts` takes; it takes those below sliceBegin(count, part + 1, parts).
 */
@inline export function sliceBegin(count: i32, part: i32, parts: i32): i32 {
  return <i32>((<i64>count * <i64>part) / <i64>parts);
}

/** How many of `threads` threads are worth their cost for `work` units, when one thread should have `grain` of them. */
@inline export function useful(threads: i32, work: i64, grain: i64): i32 {
  const wanted = work / grain;
  return wanted >= <i64>threads ? threads : max(<i32>wanted, 1);
}

@inline export function ceilDiv(a: i32, b: i32): i32 { return (a + b - 1) / b; }
