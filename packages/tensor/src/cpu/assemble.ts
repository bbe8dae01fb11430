import { DeviceError } from '../errors';
import { CpuBackend, type CpuParts, createMemory } from './cpu-backend';
import { availableThreads, canThread, ThreadPool } from './pool';
import { hasRelaxedSimd } from './relaxed';

/** How the CPU backend is set up. */
export interface CpuOptions {
  /**
   * Threads in all, from 1 to 64. Default: the cores that the process may use, at most 8; 1 where threads can't share
   * memory.
   */
  readonly threads?: number;
  /** Use relaxed SIMD (fused multiply-add: faster, last bits depend on the CPU). Default: where the engine has it. */
  readonly relaxed?: boolean;
  /** Limit of the memory in bytes; 4 GiB at most, which is the default. */
  readonly maxMemoryBytes?: number;
  /**
   * A worker thread that makes no progress for so long is given up, in milliseconds; then the device fails. Default
   * 120000.
   */
  readonly stallLimit?: number;
}

/** Where the code comes from that is not generated. */
export interface CpuCode {
  readonly routines: CpuParts['routines'];
  /** Work below which threads are not worth a barrier; tests set 0. */
  readonly parallelWork?: number;
  /** The AssemblyScript modules, compiled, for shared or unshared memory. */
  modules(variant: { shared: boolean; relaxed: boolean }): Promise<CpuParts['modules']>;
}

/** About 10 microseconds: a barrier costs one, or fifty where another process holds the core. */
const parallelWork = 32768;

/** The last page stays unused, so that the end of every block is below 2^32. */
const largestMemory = 2 ** 32 - 65536;

/** Makes a CPU backend out of its parts. @throws DeviceError for bad options, or when memory or threads can't be had */
export async function assembleCpuBackend(options: CpuOptions, code: CpuCode): Promise<CpuBackend> {
  const threads = options.threads ?? (canThread() ? Math.max(1, Math.min(8, availableThreads())) : 1);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64)
    throw new DeviceError(`cpu: threads is ${threads}, expected an integer in [1, 64]`);
  if (threads > 1 && !canThread()) {
    throw new DeviceError(
      `cpu: threads is ${threads}, but this host has no shared memory (browsers: pages need cross-origin isolation)`,
    );
  }
  const maximumBytes = Math.min(largestMemory, options.maxMemoryBytes ?? largestMemory);
  if (!(maximumBytes >= 2 ** 17))
    throw new DeviceError(`cpu: maxMemoryBytes is ${options.maxMemoryBytes}, expected at least ${2 ** 17}`);
  if (options.relaxed === true && !hasRelaxedSimd())
    throw new DeviceError('cpu: relaxed is true, but this engine has no relaxed SIMD');
  const relaxed = options.relaxed ?? hasRelaxedSimd();
  const shared = threads > 1;
  const { memory, maximumPages } = createMemory(shared, maximumBytes);
  const modules = await code.modules({ shared, relaxed });
  const stallLimit = options.stallLimit ?? 120000;
  const pool = shared ? await ThreadPool.start({ memory, ...modules, threads, stallLimit }) : null;
  return new CpuBackend({
    memory,
    maximumPages,
    shared,
    relaxed,
    maximumBytes: Math.min(maximumBytes, maximumPages * 65536),
    pool,
    modules,
    routines: code.routines,
    parallelWork: code.parallelWork ?? parallelWork,
  });
}
