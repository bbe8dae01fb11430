import { type CudaFunction, type CudaDriver, type CudaStream, type Grid, KernelArguments } from '@mamba-ts/scan-cuda/driver';

/** Types of kernel parameters: a device address or 64-bit integer, a 32-bit integer, a float. */
export type ParameterType = 'pointer' | 'i64' | 'i32' | 'f32';

/** One kernel with its geometry and an argument block at a fixed address; launches only fill in values. */
export class KernelLaunch {
  private readonly args: KernelArguments;
  private readonly view: DataView;

  constructor(
    driver: CudaDriver,
    private readonly run: CudaFunction,
    private readonly geometry: { readonly grid: Grid; readonly block: Grid; readonly sharedBytes?: number },
    private readonly parameters: readonly ParameterType[],
  ) {
    // Every parameter gets 8 bytes here: the driver takes each by its own address.
    this.args = new KernelArguments(driver, 8 * parameters.length, parameters.map((_, i) => 8 * i));
    this.view = new DataView(this.args.bytes);
    run.allowSharedMemory(geometry.sharedBytes ?? 0);
  }

  /** Sets parameter `index`; it keeps its value between launches. */
  set(index: number, value: bigint | number): void {
    const { view } = this;
    switch (this.parameters[index]) {
      case 'f32':
        return view.setFloat32(8 * index, Number(value), true);
      case 'i32':
        return view.setInt32(8 * index, Number(value), true);
      default:
        return view.setBigUint64(8 * index, BigInt.asUintN(64, BigInt(value)), true);
    }
  }

  /** Sets all parameters, from the first. */
  setAll(values: readonly (bigint | number)[]): this {
    values.forEach((value, i) => this.set(i, value));
    return this;
  }

  launch(stream: CudaStream): void {
    const { grid, block, sharedBytes = 0 } = this.geometry;
    this.run.launch(stream, grid, block, sharedBytes, this.args);
  }
}
