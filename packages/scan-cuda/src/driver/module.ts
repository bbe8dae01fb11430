import type { CudaDriver } from './library';
import type { CudaStream } from './stream';

const maxDynamicSharedMemory = 8; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
const registers = 4; // CU_FUNC_ATTRIBUTE_NUM_REGS

export type Grid = readonly [x: number, y?: number, z?: number];

/** Arguments of a kernel, at fixed addresses: write new values into `bytes` between launches. Launches copy them. */
export class KernelArguments {
  readonly bytes: ArrayBuffer;
  /** The `void **kernelParams` of a launch. */
  readonly pointers: BigUint64Array;

  /** @param offsets where each argument starts within the `size` bytes */
  constructor(driver: CudaDriver, size: number, offsets: readonly number[]) {
    this.bytes = new ArrayBuffer(Math.max(size, 64));
    const base = driver.address(new Uint8Array(this.bytes));
    this.pointers = BigUint64Array.from(offsets, (offset) => base + BigInt(offset));
  }
}

/** Kernels that were loaded together. */
export class CudaModule {
  private readonly handle: bigint;
  private readonly functions = new Map<string, CudaFunction>();

  /** `overlap`: the kernels wait on the device for those before them (see overlap.ts), so they may be placed early. */
  constructor(
    private readonly driver: CudaDriver,
    image: Uint8Array,
    private readonly overlap: boolean = false,
  ) {
    // The driver takes PTX as a C string.
    const terminated = new Uint8Array(image.length + 1);
    terminated.set(image);
    const handle = new BigUint64Array(1);
    driver.check('cuModuleLoadData', handle, terminated);
    this.handle = handle[0];
  }

  /** A kernel by name. */
  function(name: string): CudaFunction {
    let found = this.functions.get(name);
    if (found === undefined) {
      const handle = new BigUint64Array(1);
      this.driver.check('cuModuleGetFunction', handle, this.handle, name);
      found = new CudaFunction(this.driver, name, handle[0], this.overlap);
      this.functions.set(name, found);
    }
    return found;
  }

  unload(): void {
    this.driver.check('cuModuleUnload', this.handle);
  }
}

const attributeBytes = 72;
const launchAttributes = { clusterDimension: 4, programmaticStreamSerialization: 6 } as const;

/**
 * Launches with attributes, CUlaunchConfig and CUlaunchAttribute: that the device may place the kernel while the one before it still runs, that
 * blocks form clusters.
 */
class LaunchWithAttributes {
  private readonly bytes = new Uint8Array(new ArrayBuffer(64 + 2 * attributeBytes));
  private readonly view = new DataView(this.bytes.buffer);

  constructor(
    private readonly driver: CudaDriver,
    private readonly early: boolean,
  ) {
    this.view.setBigUint64(40, driver.address(this.bytes) + 64n, true);
  }

  launch(kernel: bigint, stream: CudaStream | undefined, grid: Grid, block: Grid, sharedBytes: number, args: KernelArguments, cluster: number): void {
    const { view } = this;
    let count = 0;
    const attribute = (id: number, ...values: readonly number[]): void => {
      const at = 64 + attributeBytes * count++;
      view.setInt32(at, id, true);
      values.forEach((value, i) => view.setUint32(at + 8 + 4 * i, value, true));
    };
    if (this.early) attribute(launchAttributes.programmaticStreamSerialization, 1);
    if (cluster > 1) attribute(launchAttributes.clusterDimension, cluster, 1, 1);
    view.setUint32(48, count, true);
    const sizes = [grid[0], grid[1] ?? 1, grid[2] ?? 1, block[0], block[1] ?? 1, block[2] ?? 1, sharedBytes];
    sizes.forEach((size, i) => view.setUint32(4 * i, size, true));
    view.setBigUint64(32, stream?.handle ?? 0n, true);
    this.driver.check('cuLaunchKernelEx', this.bytes, kernel, args.pointers, 0n);
  }
}

/** One kernel. */
export class CudaFunction {
  private sharedLimit = 48 * 1024;
  private extended: LaunchWithAttributes | null;

  constructor(
    private readonly driver: CudaDriver,
    readonly name: string,
    private readonly handle: bigint,
    overlap: boolean = false,
  ) {
    this.extended = overlap ? new LaunchWithAttributes(driver, true) : null;
  }

  /** Registers per thread. */
  get registers(): number {
    const value = new Int32Array(1);
    this.driver.check('cuFuncGetAttribute', value, registers, this.handle);
    return value[0];
  }

  /** Lets launches have `bytes` of dynamic shared memory; more than 48 KiB needs to be asked for. */
  allowSharedMemory(bytes: number): void {
    if (bytes <= this.sharedLimit) return;
    this.driver.check('cuFuncSetAttribute', this.handle, maxDynamicSharedMemory, bytes);
    this.sharedLimit = bytes;
  }

  /**
   * Queues the kernel; the arguments' values are taken now. Also while the stream is being captured. `cluster`: blocks along x that run together and
   * see each other's shared memory, at most 8, on compute capability 9.0 and later.
   */
  launch(stream: CudaStream | undefined, grid: Grid, block: Grid, sharedBytes: number, args: KernelArguments, cluster: number = 1): void {
    if (cluster > 1) this.extended ??= new LaunchWithAttributes(this.driver, false);
    if (this.extended) return this.extended.launch(this.handle, stream, grid, block, sharedBytes, args, cluster);
    this.driver.check(
      'cuLaunchKernel',
      ...[this.handle, grid[0], grid[1] ?? 1, grid[2] ?? 1, block[0], block[1] ?? 1, block[2] ?? 1],
      ...[sharedBytes, stream?.handle ?? 0n, args.pointers, 0n],
    );
  }
}
