// The parameter block: 32-bit fields in linear memory, written by src/wasm-params.ts. Field order is the ABI.
// A pointer of 0 means that the optional array is absent.

/** Time steps per tile; also the distance of the states that backward starts its recomputation from. */
@inline export const TILE: i32 = 64;
/** Channels that are read from memory together: one cache line of float32. */
@inline export const BLOCK: i32 = 16;

@inline function field(params: usize, index: i32): usize { return load<u32>(params + (index << 2)); }

@inline export function batch(p: usize): i32 { return <i32>field(p, 0); }
@inline export function length(p: usize): i32 { return <i32>field(p, 1); }
@inline export function channels(p: usize): i32 { return <i32>field(p, 2); }
@inline export function dState(p: usize): i32 { return <i32>field(p, 3); }
@inline export function groups(p: usize): i32 { return <i32>field(p, 4); }
@inline function flags(p: usize): i32 { return <i32>field(p, 5); }
@inline export function isComplex(p: usize): bool { return (flags(p) & 1) != 0; }
@inline export function variableB(p: usize): bool { return (flags(p) & 2) != 0; }
@inline export function variableC(p: usize): bool { return (flags(p) & 4) != 0; }
@inline export function deltaSoftplus(p: usize): bool { return (flags(p) & 8) != 0; }
@inline export function resetsAreBytes(p: usize): bool { return (flags(p) & 16) != 0; }

@inline export function u(p: usize): usize { return field(p, 6); }
@inline export function delta(p: usize): usize { return field(p, 7); }
@inline export function A(p: usize): usize { return field(p, 8); }
@inline export function B(p: usize): usize { return field(p, 9); }
@inline export function C(p: usize): usize { return field(p, 10); }
@inline export function D(p: usize): usize { return field(p, 11); }
@inline export function z(p: usize): usize { return field(p, 12); }
@inline export function deltaBias(p: usize): usize { return field(p, 13); }
@inline export function initialState(p: usize): usize { return field(p, 14); }
@inline export function resets(p: usize): usize { return field(p, 15); }

@inline export function y(p: usize): usize { return field(p, 16); }
@inline export function lastState(p: usize): usize { return field(p, 17); }

@inline export function gradY(p: usize): usize { return field(p, 18); }
@inline export function gradLastState(p: usize): usize { return field(p, 19); }
@inline export function gradU(p: usize): usize { return field(p, 20); }
@inline export function gradDelta(p: usize): usize { return field(p, 21); }
@inline export function gradA(p: usize): usize { return field(p, 22); }
@inline export function gradB(p: usize): usize { return field(p, 23); }
@inline export function gradC(p: usize): usize { return field(p, 24); }
@inline export function gradD(p: usize): usize { return field(p, 25); }
@inline export function gradZ(p: usize): usize { return field(p, 26); }
@inline export function gradDeltaBias(p: usize): usize { return field(p, 27); }
@inline export function gradInitialState(p: usize): usize { return field(p, 28); }

/** This thread's own work area. */
@inline export function work(p: usize, tid: i32): usize { return field(p, 29) + <usize>tid * field(p, 30); }
/** States at the start of every tile: (batch, groups, tiles, ceil(channels per group / 4), columns, 4 lanes). */
@inline export function tileStates(p: usize): usize { return field(p, 31); }
/** Channels of one backward task, a multiple of BLOCK. */
@inline export function taskChannels(p: usize): i32 { return <i32>field(p, 32); }
// Where backward tasks write what has to be summed afterwards; the gradient itself where there is one summand.
@inline export function partialA(p: usize): usize { return field(p, 33); }
@inline export function partialB(p: usize): usize { return field(p, 34); }
@inline export function partialC(p: usize): usize { return field(p, 35); }
@inline export function partialD(p: usize): usize { return field(p, 36); }
@inline export function partialDeltaBias(p: usize): usize { return field(p, 37); }

/** Floats per state: 1, or 2 (real, imaginary) in complex mode. A "column" is one of dState * width floats. */
@inline export function columns(p: usize): i32 { return isComplex(p) ? dState(p) << 1 : dState(p); }

/** Is the state of sequence b set to zero before step t? */
@inline export function resetAt(p: usize, b: i32, t: i32): bool {
  const at = resets(p);
  if (at == 0) return false;
  const index = <usize>(b * length(p) + t);
  return resetsAreBytes(p) ? load<u8>(at + index) != 0 : load<i32>(at + (index << 2)) != 0;
}

/** First step in (from, end] before which the state is reset, or end. */
export function segmentEnd(p: usize, b: i32, from: i32, end: i32): i32 {
  if (resets(p) == 0) return end;
  for (let t = from + 1; t < end; t++) if (resetAt(p, b, t)) return t;
  return end;
}

/** First step of the last segment of [begin, end): the largest t > begin with a reset, or begin. */
export function segmentBegin(p: usize, b: i32, begin: i32, end: i32): i32 {
  if (resets(p) == 0) return begin;
  for (let t = end - 1; t > begin; t--) if (resetAt(p, b, t)) return t;
  return begin;
}

/** First of `tasks` tasks that thread `tid` of `threads` takes; it takes those below firstTask(tid + 1). */
@inline export function firstTask(tasks: i32, tid: i32, threads: i32): i32 {
  return <i32>((<i64>tasks * <i64>tid) / <i64>threads);
}
