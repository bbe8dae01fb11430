import { CudaContext, CudaError } from '@mamba-ts/scan-cuda/driver';
import { Device, DeviceError } from '@mamba-ts/tensor';
import { CudaBackend } from './cuda-backend';
import { cudaRoutines } from './routines';

export interface CudaOptions {
  /** Ordinal of the device. Default 0. */
  readonly device?: number;
  /** Most bytes of device memory for tensors and temporaries. Default: what the device has. */
  readonly memoryLimit?: number;
  /**
   * Where the driver keeps compiled kernels for later processes. Default: its own choice (`CUDA_CACHE_PATH`, else `~/.nv/ComputeCache`). Only the
   * first device that a process opens can choose it.
   */
  readonly cacheFolder?: string;
}

/**
 * Opens a CUDA device for tensors. Needs NVIDIA's driver and the package koffi, nothing else; compute capability 8.0 or later. Use it from the
 * thread that opened it.
 *
 * @throws DeviceError (rejects) where there is no driver, no koffi, no such device, or the device is too old; `cause` has the driver's error.
 */
export async function cuda({ device = 0, memoryLimit = Number.POSITIVE_INFINITY, cacheFolder }: CudaOptions = {}): Promise<Device> {
  if (!(memoryLimit > 0)) throw new DeviceError(`cuda: memoryLimit is ${memoryLimit}, expected a positive number of bytes`);
  if (cacheFolder !== undefined) process.env.CUDA_CACHE_PATH = cacheFolder;
  let context: CudaContext;
  try {
    context = await CudaContext.open({ device });
  } catch (cause) {
    if (cause instanceof CudaError) throw new DeviceError(`cuda: there is no CUDA device ${device} to use: ${cause.message}`, { cause });
    throw cause;
  }
  const [major, minor] = context.computeCapability;
  if (major < 8) {
    context.close();
    throw new DeviceError(`cuda: ${context.name} has compute capability ${major}.${minor}, expected 8.0 or later`);
  }
  return new Device(await CudaBackend.open(context, cudaRoutines, memoryLimit));
}
