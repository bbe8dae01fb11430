import { cpu, setDefaultDevice } from '@mamba-ts/tensor';
import type { Measurement } from '../results';
import type { CpuBenchmark } from './benchmark';
import { matmulBenchmarks } from './matmul';
import { matrixVectorBenchmarks } from './matrix-vector';
import { scanBenchmarks } from './scan';
import { trainingStepBenchmarks } from './training-step';

const benchmarks: readonly CpuBenchmark[] = [...matmulBenchmarks, ...matrixVectorBenchmarks, ...scanBenchmarks, ...trainingStepBenchmarks];

/** Runs everything whose name contains `filter`, on one thread and on `threads`. */
export async function runCpuSuite(filter: string, threads: number, onResult: (m: Measurement) => void): Promise<{ device: string; measurements: Measurement[] }> {
  const measurements: Measurement[] = [];
  let description = '';
  for (const count of threads > 1 ? [1, threads] : [1]) {
    const device = await cpu({ threads: count });
    description = device.backend.description;
    const previous = setDefaultDevice(device);
    for (const benchmark of benchmarks) {
      if (!benchmark.name.includes(filter)) continue;
      for (const m of await benchmark.run(device, count)) {
        const single = measurements.find((x) => x.name === m.name && x.threads === 1);
        const noted = single && count > 1 ? { ...m, speedup: single.timing.median / m.timing.median } : m;
        measurements.push(noted);
        onResult(noted);
      }
    }
    setDefaultDevice(previous);
    device.dispose();
  }
  return { device: description, measurements };
}
