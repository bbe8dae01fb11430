// The module's exports. Each kernel is name(params, tid, threads): all threads call it with the same parameter block;
// the caller waits for all of them before it calls the next phase.
import { forwardBlocks } from './forward';

/** y and lastState; tileStates too, where given. */
export function scanForward(params: usize, tid: i32, threads: i32): void {
  forwardBlocks(params, tid, threads, true);
}

/** Backward, phase 1: tileStates from the inputs. Not needed when scanForward has just filled them. */
export function scanBackwardStates(params: usize, tid: i32, threads: i32): void {
  forwardBlocks(params, tid, threads, false);
}
