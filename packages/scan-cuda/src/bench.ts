// The scan's benchmark on this machine's card, for programs that print or keep it: what `self-check --bench` runs.
import { CudaContext } from './driver/index';
import { CudaScan } from './scan';
import { type BenchRow, type BenchShape, benchScan } from './self-check/bench';
import { type Ceilings, measureCeilings } from './self-check/ceilings';

export { type BenchRow, type BenchShape, benchShapes } from './self-check/bench';
export type { Ceilings } from './self-check/ceilings';
export type { Timing } from './self-check/timing';

export interface ScanBench {
  readonly device: string;
  readonly driverVersion: number;
  /** Measured when it was opened. */
  readonly ceilings: Ceilings;
  /** Times one shape with the plans that are chosen for it: forward, and forward with backward. */
  run(shape: BenchShape): Promise<BenchRow>;
  close(): void;
}

/** Opens the first card and measures what it can do. Throws a CudaError where there is none. */
export async function openScanBench(): Promise<ScanBench> {
  const context = await CudaContext.open();
  const kernels = new CudaScan(context);
  const stream = context.createStream();
  const ceilings = measureCeilings(context, stream);
  stream.destroy();
  return {
    device: `${context.name}, ${context.multiprocessors} multiprocessors`,
    driverVersion: context.driverVersion,
    ceilings,
    run: (shape) => benchScan(context, kernels, shape, ceilings),
    close: () => {
      kernels.close();
      context.close();
    },
  };
}
