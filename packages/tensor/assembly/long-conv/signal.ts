// Four channels of a signal (steps, channels), to and from contiguous memory with the channels in the lanes. A negative
// step distance reads or writes a signal backwards.
import { loadLanes, storeLanes } from '../vector';

/** `steps` steps as vectors, then zeros up to `end` vectors. */
export function gatherSteps(source: usize, step: usize, steps: i32, lanes: i32, target: usize, end: i32): void {
  const last = target + (<usize>steps << 4);
  if (lanes == 4) {
    for (; target != last; target += 16) {
      v128.store(target, v128.load(source));
      source += step;
    }
  } else {
    for (; target != last; target += 16) {
      v128.store(target, loadLanes(source, lanes));
      source += step;
    }
  }
  memory.fill(target, 0, <usize>(end - steps) << 4);
}

export function scatterSteps(source: usize, target: usize, step: usize, steps: i32, lanes: i32): void {
  const last = source + (<usize>steps << 4);
  for (; source != last; source += 16) {
    storeLanes(target, v128.load(source), lanes);
    target += step;
  }
}

/** Clears vectors. */
@inline export function clearSteps(target: usize, steps: i32): void { memory.fill(target, 0, <usize>steps << 4); }
