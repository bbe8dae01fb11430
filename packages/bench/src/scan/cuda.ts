import type { Measurement } from '../results';
import type { ScanBenchDevice } from './device';

/** The kernels of @mamba-ts/scan-cuda on this machine's first card, beside its copy and exp2 rates of the same run. */
export async function openCudaScan(): Promise<ScanBenchDevice> {
  const { benchShapes, openScanBench } = await import('@mamba-ts/scan-cuda/bench');
  const bench = await openScanBench();
  const { bytesPerMs, exponentialsPerMs } = bench.ceilings;
  const named = new Map(benchShapes.map((shape) => [`${shape.batch}x${shape.channels}x${shape.length}${shape.dtype === 'bf16' ? '' : `-${shape.dtype}`}`, shape]));
  return {
    description: `CUDA ${bench.driverVersion}: ${bench.device}, in this run ${(bytesPerMs / 1e9).toFixed(2)} TB/s copied, ${(exponentialsPerMs / 1e9).toFixed(2)} T exp2/s`,
    sizes: [...named.keys()],
    async measure(size) {
      const shape = named.get(size)!;
      const row = await bench.run(shape);
      const states = shape.batch * shape.length * shape.channels * 16;
      return (['forward', 'both'] as const).map((which, index): Measurement => {
        const { median, low, high, samples } = row[which];
        const percent = (floor: number): string => `${((100 * floor) / median).toFixed(0)} %`;
        const { bytes, exponentials } = row.floors[which];
        const official = row.official && row.speedup ? `official kernel (quoted, H200) ${row.official[index]} ms: ${row.speedup[index].toFixed(2)}×; ` : '';
        return {
          name: `scan ${which === 'forward' ? 'forward' : 'forward and backward'} ${shape.batch}x${shape.channels}x${shape.length}, N 16, ${shape.dtype}`,
          threads: 1,
          timing: { median, fastest: low, spread: (high - low) / median, samples },
          rate: { value: states / median / 1e6, unit: 'G states/s' },
          note: `${percent(bytes)} of the bytes' floor, ${percent(exponentials)} of the exponentials'; ${official}${row.plans[index]}`,
        };
      });
    },
    close: () => bench.close(),
  };
}
