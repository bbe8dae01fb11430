import { TrainingError } from './errors';

/** What a run was made on. */
export interface MachineFacts {
  readonly cpu: string;
  /** Hardware threads this process may use. */
  readonly cores: number;
  readonly memoryGiB: number;
  /** Operating system and architecture. */
  readonly platform: string;
  /** The JavaScript runtime, e.g. `Node.js 24.21.0`. */
  readonly runtime: string;
}

/** The machine this runs on; in browsers what a page may know. */
export function describeMachine(): MachineFacts {
  const os = typeof process === 'undefined' ? undefined : process.getBuiltinModule?.('node:os');
  if (!os) {
    const { hardwareConcurrency = 1, userAgent = 'unknown' } = globalThis.navigator ?? {};
    return { cpu: 'unknown', cores: hardwareConcurrency, memoryGiB: NaN, platform: 'browser', runtime: userAgent };
  }
  return {
    cpu: os.cpus()[0]?.model.trim() || 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.type()} ${os.release()} ${os.arch()}`,
    runtime: `Node.js ${process.versions.node}`,
  };
}

/** A built-in module of Node. @throws TrainingError elsewhere */
export function nodeModule<T>(name: string, purpose: string): T {
  const module = typeof process === 'undefined' ? undefined : process.getBuiltinModule?.(name);
  if (!module) throw new TrainingError(`${purpose} needs Node.js (its module ${name})`);
  return module as T;
}
