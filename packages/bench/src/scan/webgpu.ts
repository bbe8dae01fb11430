import type { Measurement } from '../results';
import type { ScanBenchDevice } from './device';

/** The scan of @mamba-ts/scan-webgpu on this machine's adapter, through Dawn. */
export async function openWebGpuScan(): Promise<ScanBenchDevice> {
  const { WebGpuScan } = await import('@mamba-ts/scan-webgpu');
  const { benchScan, benchShape, benchSizes, dawnGpu, openDevice } = await import('@mamba-ts/scan-webgpu/bench');
  const { device, adapter } = await openDevice(await dawnGpu(), 'all');
  const kernels = new WebGpuScan(device);
  const named = new Map(benchSizes.map((sizes) => [sizes.join('x'), sizes]));
  const { vendor, architecture, description } = adapter.info;
  return {
    description: `WebGPU through Dawn: ${[vendor, architecture, description].filter((part) => part !== '').join(' ')}`,
    sizes: [...named.keys()],
    async measure(size) {
      const shape = benchShape(named.get(size)!);
      const row = await benchScan(device, kernels, shape);
      const states = shape.batch * shape.length * shape.channels * shape.dState;
      return (['forward', 'both'] as const).map((which): Measurement => {
        const timing = row[which];
        const { bytes, exponentials } = row.floors[which];
        const fraction = ((100 * Math.max(bytes, exponentials)) / timing.median).toFixed(0);
        return {
          name: `scan ${which === 'forward' ? 'forward' : 'forward and backward'} ${size}, N 16, float32`,
          threads: 1,
          timing,
          rate: { value: states / timing.median / 1e6, unit: 'G states/s' },
          note: `${fraction} % of an H200's floor; ${which === 'forward' ? row.plans[0] : row.plans[1]}`,
        };
      });
    },
  };
}
