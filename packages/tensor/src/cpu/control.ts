/**
 * Byte addresses of the control words in the first page of the memory. Each group that different threads write has a
 * cache line of its own. [1024, 65536) holds the static data of the AssemblyScript modules; the heap starts at
 * `heapStart`.
 */
export const control = {
  /** Counts jobs; workers wait on it. The words behind it describe the job. */
  jobGeneration: 0,
  jobProgram: 4,
  jobTable: 8,
  jobThreads: 12,
  /** Where the program's module bytes stand, for workers that have not compiled it yet. */
  jobBytes: 16,
  jobLength: 20,
  /** Workers that wait on `jobGeneration` in the kernel rather than spin. */
  jobSleepers: 24,
  /** Threads that have reached the current barrier. */
  arrived: 64,
  /** Counts barriers; threads wait on it. */
  barrierGeneration: 128,
  /** Threads that wait on `barrierGeneration` in the kernel rather than spin. */
  barrierSleepers: 132,
  /** Turns that threads spin at a barrier before they sleep: adapts to whether spinning helps. */
  spinLimit: 136,
  /** Fault kind as it was when the last thread arrived. */
  faultSnapshot: 192,
  /** Not 0: thread (value - 1) failed, everybody leaves. */
  abort: 196,
  /** 1 where thread 0 may block (not in a browser's main thread). */
  mainMayWait: 200,
  /** Fault record, see fault.ts: kind, value, position, limit. */
  fault: 256,
  /** Workers that are ready. */
  ready: 320,
  /** Length and UTF-8 bytes of a failed worker's message. */
  errorLength: 508,
  errorText: 512,
  end: 1024,
} as const;

export const heapStart = 65536;

/** What a program returns: 0 done, -1 aborted, otherwise the kind of a fault. */
export const aborted = -1;
