import { DeviceError } from '../errors';
import { control } from './control';
import { workerSource } from './worker-source';

/**
 * Turns of a worker's spin loop before it sleeps until the next job: about the JS time between two replays of a small
 * step.
 */
const workerSpins = 20000;
/** Programs that a worker keeps compiled. */
export const workerPrograms = 512;
/** A worker that does not start within this time has failed, in milliseconds. */
const startLimit = 20000;

/** A program as the pool runs it. `address` and `length` are the module's bytes in shared memory, for the workers. */
export interface PoolProgram {
  readonly id: number;
  readonly enter: (table: number, tid: number, threads: number) => number;
  readonly parallel: boolean;
  readonly address: number;
  readonly length: number;
}

/** The little that Node's and the browser's workers have in common here. */
interface Thread {
  /** Calls back on the first message. */
  onReady(listener: () => void): void;
  /** Calls back when the thread has ended or failed. */
  onEnd(listener: (why: string) => void): void;
  terminate(): void;
}

export interface PoolSetup {
  readonly memory: WebAssembly.Memory;
  readonly kernels: WebAssembly.Module | null;
  readonly scan: WebAssembly.Module | null;
  /** Threads in all: thread 0 is the caller. */
  readonly threads: number;
  /** A worker that makes no progress for so long is given up, in milliseconds. */
  readonly stallLimit: number;
}

/**
 * Threads that run the same program side by side on one shared memory. Thread 0 is the caller; the others are workers
 * that block on a control word between jobs. Nothing but shared memory is used after the start, because a blocked
 * thread receives no messages.
 */
export class ThreadPool {
  readonly threads: number;
  private readonly words: Int32Array;
  private readonly workers: Thread[] = [];
  private failure: string | null = null;
  private progress = -1;
  private since = 0;

  private constructor(private readonly setup: PoolSetup) {
    this.threads = setup.threads;
    this.words = new Int32Array(setup.memory.buffer, 0, control.end >> 2);
  }

  /** @throws DeviceError when a worker cannot be started */
  static async start(setup: PoolSetup): Promise<ThreadPool> {
    const pool = new ThreadPool(setup);
    pool.words[control.mainMayWait >> 2] = nodeThreads() ? 1 : 0;
    const { memory, kernels, scan } = setup;
    const started = Array.from({ length: setup.threads - 1 }, (_, i) => {
      const data = { memory, kernels, scan, tid: i + 1, control, spins: workerSpins, programs: workerPrograms };
      const worker = nodeThreads() ? nodeThread(data) : browserThread(data);
      pool.workers.push(worker);
      worker.onEnd((why) => {
        pool.failure ??= `worker thread ${i + 1} ended: ${why}`;
      });
      return new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new DeviceError(`cpu: worker thread ${i + 1} did not start in ${startLimit} ms`)),
          startLimit,
        );
        const settle = (act: () => void): void => {
          clearTimeout(timer);
          act();
        };
        worker.onReady(() => settle(resolve));
        worker.onEnd((why) =>
          settle(() =>
            reject(
              new DeviceError(`cpu: worker thread ${i + 1} could not start: ${why}; { threads: 1 } needs no workers`),
            ),
          ),
        );
      });
    });
    try {
      await Promise.all(started);
      pool.check();
    } catch (error) {
      pool.dispose();
      throw error;
    }
    return pool;
  }

  /**
   * Runs a program on all threads; gives what thread 0's `run` gives. Allocates nothing. @throws DeviceError when a
   * worker has died
   */
  execute(program: PoolProgram, table: number): number {
    const { words } = this;
    if (!program.parallel) return program.enter(table, 0, 1);
    if (this.failure !== null) this.check();
    words[control.jobProgram >> 2] = program.id;
    words[control.jobTable >> 2] = table;
    words[control.jobThreads >> 2] = this.threads;
    words[control.jobBytes >> 2] = program.address;
    words[control.jobLength >> 2] = program.length;
    this.progress = -1;
    Atomics.add(words, control.jobGeneration >> 2, 1);
    if (Atomics.load(words, control.jobSleepers >> 2) > 0) Atomics.notify(words, control.jobGeneration >> 2);
    return program.enter(table, 0, this.threads);
  }

  /** Imported by programs: has thread 0 waited too long for another thread? */
  readonly stalled = (): number => {
    const { words } = this;
    const progress = words[control.barrierGeneration >> 2] * 64 + words[control.arrived >> 2];
    const now = performance.now();
    if (progress !== this.progress) {
      this.progress = progress;
      this.since = now;
      return 0;
    }
    if (now - this.since < this.setup.stallLimit) return 0;
    this.failure ??= `a worker thread made no progress for ${this.setup.stallLimit} ms`;
    return 1;
  };

  /** Ends all threads because one has failed; the pool is unusable afterwards. */
  abandon(): void {
    const tid = Atomics.load(this.words, control.abort >> 2);
    if (tid > 1 && this.failure === null) {
      const length = this.words[control.errorLength >> 2];
      const text = new Uint8Array(this.setup.memory.buffer).slice(control.errorText, control.errorText + length);
      this.failure = `worker thread ${tid - 1} failed: ${String.fromCharCode(...text)}`;
    }
    this.failure ??= 'a thread failed';
    this.dispose();
  }

  /** @throws DeviceError when a thread has failed */
  check(): void {
    if (this.failure === null && Atomics.load(this.words, control.abort >> 2) === 0) return;
    this.abandon();
    throw new DeviceError(`cpu: ${this.failure}; the device can't run anything more`);
  }

  dispose(): void {
    this.failure ??= 'the device was disposed';
    const { words } = this;
    // Threads in a barrier leave, threads that wait for a job find one that ends them.
    Atomics.compareExchange(words, control.abort >> 2, 0, 1);
    words[control.jobProgram >> 2] = -1;
    Atomics.add(words, control.jobGeneration >> 2, 1);
    Atomics.notify(words, control.jobGeneration >> 2);
    Atomics.notify(words, control.barrierGeneration >> 2);
    for (const worker of this.workers) worker.terminate();
  }
}

type WorkerThreads = typeof import('node:worker_threads');

/** A module of Node's, or null elsewhere. Not an import: the same bundle runs in browsers. */
function nodeModule<T>(name: string): T | null {
  const host = (globalThis as { process?: { versions?: { node?: string }; getBuiltinModule?: (name: string) => T } })
    .process;
  return host?.versions?.node && host.getBuiltinModule ? host.getBuiltinModule(name) : null;
}

function nodeThreads(): WorkerThreads | null {
  return nodeModule<WorkerThreads>('node:worker_threads');
}

function nodeThread(data: unknown): Thread {
  const { Worker } = nodeThreads() as WorkerThreads;
  // No flags of the parent: with --input-type=module or a loader the source would be read differently.
  const worker = new Worker(workerSource, { eval: true, workerData: data, execArgv: [], env: {} });
  worker.unref();
  return {
    onReady: (listener) => void worker.once('message', listener),
    onEnd(listener) {
      worker.once('error', (error) => listener(String((error as Error).message ?? error)));
      worker.once('exit', (code) => listener(`exit code ${code}`));
    },
    terminate: () => void worker.terminate(),
  };
}

function browserThread(data: unknown): Thread {
  const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const worker = new Worker(url);
  worker.postMessage(data);
  return {
    onReady: (listener) =>
      worker.addEventListener(
        'message',
        () => {
          URL.revokeObjectURL(url);
          listener();
        },
        { once: true },
      ),
    onEnd: (listener) => worker.addEventListener('error', (event) => listener(event.message), { once: true }),
    terminate: () => worker.terminate(),
  };
}

/** Can this host run worker threads on shared memory? */
export function canThread(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  if (nodeThreads()) return true;
  return (
    typeof Worker !== 'undefined' &&
    typeof Blob !== 'undefined' &&
    (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true
  );
}

/** Cores that this process may use. */
export function availableThreads(): number {
  const os = nodeModule<typeof import('node:os')>('node:os');
  return os ? os.availableParallelism() : (globalThis.navigator?.hardwareConcurrency ?? 1);
}
