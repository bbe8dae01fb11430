import { aborted, control } from '../control';
import { maximum, minimum } from './affine';
import { callExpr, FunctionBuilder } from './function';
import { atomic, i32, i64 } from './operators';

/**
 * Turns of the spin loop before a thread goes to sleep, which costs it and its waker tens of microseconds: up to about 100 where that succeeds.
 * Where it fails, because another process holds the core that the awaited thread needs, spinning only delays that thread: the limit is halved, and
 * doubled again with success. It so ends high unless most waits fail.
 */
const spins = { least: 300, most: 100_000 };
/** A sleeping thread looks after the others this often, in nanoseconds. */
const slice = 50_000_000n;

/**
 * barrier(tid, threads): i32. Returns when all threads have called it, with the fault kind that the last one to arrive
 * saw, so that all threads take the same decision; or `aborted`. `stalled` is an imported function without parameters
 * that gives 1 when thread 0 must give up.
 */
export function printBarrier(shared: boolean, stalled: number): FunctionBuilder {
  const fn = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const at = (address: number): ReturnType<typeof i32.const> => i32.const(address);
  if (!shared) {
    fn.return(i32.load(at(control.fault)));
    return unreachableEnd(fn);
  }
  const tid = fn.parameter(0, 'i32');
  const threads = fn.parameter(1, 'i32');
  const one = i32.const(1);
  fn.if(i32.eq(threads, one), () => fn.return(i32.load(at(control.fault))));
  const generation = fn.let(atomic.load(at(control.barrierGeneration)));
  fn.if(
    i32.eq(i32.add(atomic.add(at(control.arrived), one), one), threads),
    () => {
      fn.store32(at(control.faultSnapshot), i32.load(at(control.fault)));
      fn.atomicStore(at(control.arrived), i32.const(0));
      fn.drop(atomic.add(at(control.barrierGeneration), one));
      fn.if(atomic.load(at(control.barrierSleepers)), () =>
        fn.drop(atomic.notify(at(control.barrierGeneration), i32.const(-1))),
      );
    },
    () => {
      const turns = fn.local('i32');
      const limit = fn.local('i32');
      fn.set(limit, i32.load(at(control.spinLimit)));
      fn.set(limit, maximum(limit.get, i32.const(spins.least)));
      fn.set(turns, limit.get);
      const waiting = i32.eq(atomic.load(at(control.barrierGeneration)), generation);
      const mayWait = i32.or(i32.ne(tid, i32.const(0)), i32.load(at(control.mainMayWait)));
      fn.while(waiting, () => {
        fn.if(atomic.load(at(control.abort)), () => fn.return(i32.const(aborted)));
        fn.set(turns, i32.sub(turns.get, one));
        fn.if(i32.eqz(turns.get), () => {
          fn.set(turns, i32.const(spins.most));
          fn.if(mayWait, () => {
            fn.set(turns, one);
            // Halved, as it is doubled on the way out.
            fn.set(limit, i32.shrU(limit.get, i32.const(2)));
            fn.drop(atomic.add(at(control.barrierSleepers), one));
            fn.drop(atomic.wait(at(control.barrierGeneration), generation, i64.const(slice)));
            fn.drop(atomic.sub(at(control.barrierSleepers), one));
          });
          fn.if(i32.eqz(tid), () => fn.if(callExpr('i32', stalled, []), () => fn.return(i32.const(aborted))));
        });
      });
      fn.set(limit, i32.shl(limit.get, one));
      fn.store32(at(control.spinLimit), minimum(limit.get, i32.const(spins.most)));
    },
  );
  fn.return(i32.load(at(control.faultSnapshot)));
  return unreachableEnd(fn);
}

/** The end of a function whose every path has returned. */
function unreachableEnd(fn: FunctionBuilder): FunctionBuilder {
  fn.unreachable();
  return fn;
}
