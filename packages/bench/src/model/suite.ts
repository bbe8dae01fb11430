import { type Device, DeviceError } from '@mamba-ts/tensor';
import { type ModelBenchmark, type ModelResult, type RunOptions } from './benchmark';
import { decodeBenchmarks } from './decode';
import { prefillBenchmark } from './prefill';
import { trainingBenchmarks } from './training';

const benchmarks: readonly ModelBenchmark[] = [...decodeBenchmarks, ...trainingBenchmarks, prefillBenchmark];

export interface SuiteOptions extends RunOptions {
  readonly filter: string;
  /** Benchmarks above this many 10^12 operations or GiB are left out, by name. */
  readonly most: { readonly teraflop: number; readonly memoryGiB: number };
  onResult(result: ModelResult): void;
  onLeftOut(name: string, why: string): void;
}

/** The bars are those of an H200 on CUDA; WebGPU has one of its own, other devices have none. */
function barOn(device: Device, { name, bar }: ModelResult['measurement']): ModelResult['measurement']['bar'] {
  if (device.name === 'cuda') return bar;
  return device.name === 'webgpu' && name.startsWith('decode mamba-130m') ? { atMostMs: 3 } : undefined;
}

/** Runs everything whose name contains the filter on the default device. */
export async function runModelSuite(device: Device, options: SuiteOptions): Promise<ModelResult['measurement'][]> {
  const measurements: ModelResult['measurement'][] = [];
  for (const benchmark of benchmarks) {
    if (!benchmark.name.includes(options.filter)) continue;
    const { teraflop, memoryGiB } = options.most;
    if (benchmark.teraflop > teraflop || benchmark.memoryGiB > memoryGiB) {
      options.onLeftOut(benchmark.name, `${benchmark.teraflop.toPrecision(2)} TFLOP, up to ${benchmark.memoryGiB.toFixed(0)} GiB: too large for this device`);
      continue;
    }
    let run: ModelResult;
    try {
      run = await benchmark.run(device, options);
    } catch (error) {
      // A tensor that is larger than the device can bind, memory that it does not have.
      if (!(error instanceof DeviceError)) throw error;
      options.onLeftOut(benchmark.name, error.message);
      continue;
    }
    const result = { ...run, measurement: { ...run.measurement, bar: barOn(device, run.measurement) } };
    measurements.push(result.measurement);
    options.onResult(result);
  }
  return measurements;
}
