import os from 'node:os';
import type { BenchmarkResult } from './results';

/** What the figures were measured on. */
export function describeMachine(): Pick<BenchmarkResult, 'machine' | 'versions'> {
  return {
    machine: {
      cpu: os.cpus()[0]?.model ?? 'unknown CPU',
      cores: os.availableParallelism(),
      memoryGiB: Math.round(os.totalmem() / 2 ** 30),
      platform: `${os.type()} ${os.arch()}`,
    },
    versions: { node: process.versions.node, v8: process.versions.v8 },
  };
}
