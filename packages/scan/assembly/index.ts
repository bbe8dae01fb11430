// The module's exports. Each kernel is name(params, tid, threads): all threads call it with the same parameter block;
// the caller waits for all of them before it calls the next phase.
import { forwardBlocks } from './forward';
import { backwardTasks } from './backward';
import { reduceGradients } from './backward-reduce';
import { stateUpdate } from './state-update';

/** y and lastState; tileStates too, where given. */
export function scanForward(params: usize, tid: i32, threads: i32): void {
  forwardBlocks(params, tid, threads, true);
}

/** Backward, phase 1: tileStates from the inputs. Not needed when scanForward has just filled them. */
export function scanBackwardStates(params: usize, tid: i32, threads: i32): void {
  forwardBlocks(params, tid, threads, false);
}

/** Backward, phase 2: all gradients that need no sum over tasks, and the summands of the others. */
export function scanBackwardMain(params: usize, tid: i32, threads: i32): void {
  backwardTasks(params, tid, threads);
}

/** Backward, phase 3: the sums. */
export function scanBackwardReduce(params: usize, tid: i32, threads: i32): void {
  reduceGradients(params, tid, threads);
}

/** A single step: a scan of length 1. */
export function scanStateUpdate(params: usize, tid: i32, threads: i32): void {
  stateUpdate(params, tid, threads);
}
