import { type CudaDriver, type CudaFunction, type CudaStream, type Grid, KernelArguments, tensorMapBytes } from '@mamba-ts/scan-cuda/driver';

export interface Geometry {
  readonly grid: Grid;
  readonly block: Grid;
  readonly sharedBytes?: number;
  /** Blocks along x that see each other's shared memory. */
  readonly cluster?: number;
}

/**
 * A kernel whose first parameter is a struct of 8-byte fields: addresses and integers. Tensor maps may follow. All keep their values between launches;
 * 0 at first.
 */
export class StructLaunch<Field extends string> {
  private readonly args: KernelArguments;
  private readonly block: BigInt64Array;
  private readonly indexOf: ReadonlyMap<string, number>;
  /** The bytes of each tensor map. */
  readonly maps: readonly Uint8Array[];

  constructor(
    driver: CudaDriver,
    private readonly run: CudaFunction,
    private readonly geometry: Geometry,
    fields: readonly Field[],
    maps: number = 0,
  ) {
    const offsets = Array.from({ length: maps }, (_, i) => (Math.ceil((8 * fields.length) / tensorMapBytes) + i) * tensorMapBytes);
    this.args = new KernelArguments(driver, Math.max(8 * fields.length, ...offsets.map((at) => at + tensorMapBytes)), [0, ...offsets]);
    this.block = new BigInt64Array(this.args.bytes, 0, fields.length);
    this.maps = offsets.map((at) => new Uint8Array(this.args.bytes, at, tensorMapBytes));
    this.indexOf = new Map(fields.map((name, i) => [name, i]));
    run.allowSharedMemory(geometry.sharedBytes ?? 0);
  }

  set(values: Readonly<Partial<Record<Field, bigint | number | boolean>>>): this {
    for (const name in values) this.block[this.indexOf.get(name) as number] = BigInt.asIntN(64, BigInt(values[name] as bigint | number | boolean));
    return this;
  }

  launch(stream: CudaStream): void {
    const { grid, block, sharedBytes = 0, cluster } = this.geometry;
    this.run.launch(stream, grid, block, sharedBytes, this.args, cluster);
  }
}
