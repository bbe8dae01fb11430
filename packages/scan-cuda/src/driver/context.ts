import { CudaError } from './errors';
import { type CudaDriver, loadCudaDriver } from './library';
import { CudaModule } from './module';
import { overlapping, overlaps } from './overlap';
import { CudaEvent, CudaStream } from './stream';

/** An address in device memory. */
export type DevicePointer = bigint;

/** Pinned memory of the host: what asynchronous copies need. */
export interface HostBuffer {
  readonly pointer: bigint;
  readonly bytes: ArrayBuffer;
}

const attributes = { multiprocessors: 16, major: 75, minor: 76, sharedMemoryPerBlock: 97, l2Bytes: 38 } as const;

export interface CudaContextOptions {
  /** Ordinal of the device. Default 0. */
  readonly device?: number;
  /** Lets the device place a kernel before the one in front of it has ended (compute capability 9.0 and later). Default true. */
  readonly overlap?: boolean;
}

/**
 * A device with its primary context, which other libraries in the process share. Contexts belong to threads: use it from
 * the thread that opened it.
 */
export class CudaContext {
  readonly name: string;
  readonly computeCapability: readonly [major: number, minor: number];
  readonly multiprocessors: number;
  /** Shared memory that one block can have, in bytes. */
  readonly sharedMemoryPerBlock: number;
  readonly l2Bytes: number;
  /** CUDA version of the driver, e.g. 13000. */
  readonly driverVersion: number;
  private readonly overlap: boolean;
  private open = true;

  private constructor(
    readonly driver: CudaDriver,
    private readonly device: number,
    overlap: boolean,
  ) {
    const handle = new BigUint64Array(1);
    driver.check('cuDevicePrimaryCtxRetain', handle, device);
    driver.check('cuCtxSetCurrent', handle[0]);
    const name = new Uint8Array(256);
    driver.check('cuDeviceGetName', name, name.length, device);
    this.name = new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
    const value = new Int32Array(1);
    const attribute = (id: number): number => {
      driver.check('cuDeviceGetAttribute', value, id, device);
      return value[0];
    };
    this.computeCapability = [attribute(attributes.major), attribute(attributes.minor)];
    this.multiprocessors = attribute(attributes.multiprocessors);
    this.sharedMemoryPerBlock = attribute(attributes.sharedMemoryPerBlock);
    this.l2Bytes = attribute(attributes.l2Bytes);
    driver.check('cuDriverGetVersion', value);
    this.driverVersion = value[0];
    this.overlap = overlap && overlaps(this.computeCapability, this.driverVersion);
  }

  /** Opens a device. Rejects with a {@link CudaError} where there is no driver, no koffi or no such device. */
  static async open({ device = 0, overlap = true }: CudaContextOptions = {}): Promise<CudaContext> {
    const driver = await loadCudaDriver();
    const count = new Int32Array(1);
    driver.check('cuDeviceGetCount', count);
    if (!Number.isInteger(device) || device < 0 || device >= count[0]) {
      throw new CudaError('opening a device', `there are ${count[0]} devices, device is ${device}`);
    }
    return new CudaContext(driver, device, overlap);
  }

  /** Free and total device memory in bytes. */
  memory(): { readonly free: number; readonly total: number } {
    const free = new BigUint64Array(1);
    const total = new BigUint64Array(1);
    this.driver.check('cuMemGetInfo', free, total);
    return { free: Number(free[0]), total: Number(total[0]) };
  }

  /** Device memory, aligned to 256 bytes. Free it with {@link free}. */
  allocate(bytes: number): DevicePointer {
    const pointer = new BigUint64Array(1);
    this.driver.check('cuMemAlloc', pointer, Math.max(bytes, 1));
    return pointer[0];
  }

  free(pointer: DevicePointer): void {
    if (pointer !== 0n) this.driver.check('cuMemFree', pointer);
  }

  /** Pinned host memory. Its ArrayBuffer must not be used after {@link freeHost}. */
  allocateHost(bytes: number): HostBuffer {
    const pointer = new BigUint64Array(1);
    this.driver.check('cuMemHostAlloc', pointer, Math.max(bytes, 1), 0);
    return { pointer: pointer[0], bytes: this.driver.view(pointer[0], bytes) };
  }

  freeHost(buffer: HostBuffer): void {
    this.driver.check('cuMemFreeHost', buffer.pointer);
  }

  /** Copies host memory to the device; returns when it has been read. */
  upload(to: DevicePointer, from: ArrayBufferView): void {
    if (from.byteLength > 0) this.driver.check('cuMemcpyHtoD', to, from, from.byteLength);
  }

  /** Copies device memory to the host, after all work of the default stream. */
  download(to: ArrayBufferView, from: DevicePointer): void {
    if (to.byteLength > 0) this.driver.check('cuMemcpyDtoH', to, from, to.byteLength);
  }

  /**
   * Loads PTX (text, compiled by the driver) or a cubin. Where the device can, kernels in PTX are placed while the one before them still runs and
   * wait for its end there: to the program this looks like running one after the other.
   */
  loadModule(image: Uint8Array): CudaModule {
    const early = this.overlap && image[0] !== 0x7f ? overlapping(new TextDecoder().decode(image)) : null;
    return early === null ? new CudaModule(this.driver, image) : new CudaModule(this.driver, new TextEncoder().encode(early), true);
  }

  createStream(): CudaStream {
    return new CudaStream(this.driver);
  }

  createEvent(): CudaEvent {
    return new CudaEvent(this.driver);
  }

  /** Waits for everything on the device. Reports errors of earlier launches. */
  synchronize(): void {
    this.driver.check('cuCtxSynchronize');
  }

  /** Gives the context back. Memory, modules and streams that were not freed live as long as the process keeps it. */
  close(): void {
    if (this.open) this.driver.check('cuDevicePrimaryCtxRelease', this.device);
    this.open = false;
  }
}
