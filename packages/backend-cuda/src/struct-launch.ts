import { type CudaDriver, type CudaFunction, type CudaStream, type Grid, KernelArguments } from '@mamba-ts/scan-cuda/driver';

export interface Geometry {
  readonly grid: Grid;
  readonly block: Grid;
  readonly sharedBytes?: number;
}

/** A kernel whose one parameter is a struct of 8-byte fields: addresses and integers. Fields keep their values between launches; 0 at first. */
export class StructLaunch<Field extends string> {
  private readonly args: KernelArguments;
  private readonly block: BigInt64Array;
  private readonly indexOf: ReadonlyMap<string, number>;

  constructor(
    driver: CudaDriver,
    private readonly run: CudaFunction,
    private readonly geometry: Geometry,
    fields: readonly Field[],
  ) {
    this.args = new KernelArguments(driver, 8 * fields.length, [0]);
    this.block = new BigInt64Array(this.args.bytes);
    this.indexOf = new Map(fields.map((name, i) => [name, i]));
    run.allowSharedMemory(geometry.sharedBytes ?? 0);
  }

  set(values: Readonly<Partial<Record<Field, bigint | number | boolean>>>): this {
    for (const name in values) this.block[this.indexOf.get(name) as number] = BigInt.asIntN(64, BigInt(values[name] as bigint | number | boolean));
    return this;
  }

  launch(stream: CudaStream): void {
    const { grid, block, sharedBytes = 0 } = this.geometry;
    this.run.launch(stream, grid, block, sharedBytes, this.args);
  }
}
