// libcuda.so.1 through koffi. Handles and device pointers are BigInt: in the C ABI a pointer and a uint64_t are passed alike.
import { CudaError } from './errors';

const prototypes = {
  cuInit: 'int cuInit(unsigned int flags)',
  cuGetErrorName: 'int cuGetErrorName(int error, _Out_ const char **name)',
  cuGetErrorString: 'int cuGetErrorString(int error, _Out_ const char **text)',
  cuDriverGetVersion: 'int cuDriverGetVersion(void *version)',
  cuDeviceGetCount: 'int cuDeviceGetCount(void *count)',
  cuDeviceGet: 'int cuDeviceGet(void *device, int ordinal)',
  cuDeviceGetName: 'int cuDeviceGetName(void *name, int length, int device)',
  cuDeviceGetAttribute: 'int cuDeviceGetAttribute(void *value, int attribute, int device)',
  cuDevicePrimaryCtxRetain: 'int cuDevicePrimaryCtxRetain(void *context, int device)',
  cuDevicePrimaryCtxRelease: 'int cuDevicePrimaryCtxRelease_v2(int device)',
  cuCtxSetCurrent: 'int cuCtxSetCurrent(uint64_t context)',
  cuCtxSynchronize: 'int cuCtxSynchronize()',
  cuMemGetInfo: 'int cuMemGetInfo_v2(void *free, void *total)',
  cuMemAlloc: 'int cuMemAlloc_v2(void *pointer, size_t bytes)',
  cuMemFree: 'int cuMemFree_v2(uint64_t pointer)',
  cuMemHostAlloc: 'int cuMemHostAlloc(void *pointer, size_t bytes, unsigned int flags)',
  cuMemFreeHost: 'int cuMemFreeHost(uint64_t pointer)',
  cuMemcpyHtoD: 'int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes)',
  cuMemcpyDtoH: 'int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes)',
  cuMemcpyHtoDAsync: 'int cuMemcpyHtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, uint64_t stream)',
  cuMemcpyDtoHAsync: 'int cuMemcpyDtoHAsync_v2(uint64_t to, uint64_t from, size_t bytes, uint64_t stream)',
  cuMemcpyDtoDAsync: 'int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, uint64_t stream)',
  cuMemsetD8Async: 'int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count, uint64_t stream)',
  cuMemsetD32Async: 'int cuMemsetD32Async(uint64_t to, unsigned int value, size_t count, uint64_t stream)',
  cuModuleLoadData: 'int cuModuleLoadData(void *module, const void *image)',
  cuModuleUnload: 'int cuModuleUnload(uint64_t module)',
  cuModuleGetFunction: 'int cuModuleGetFunction(void *function, uint64_t module, const char *name)',
  cuFuncSetAttribute: 'int cuFuncSetAttribute(uint64_t function, int attribute, int value)',
  cuFuncGetAttribute: 'int cuFuncGetAttribute(void *value, int attribute, uint64_t function)',
  cuLaunchKernel:
    'int cuLaunchKernel(uint64_t function, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx, uint32_t by, uint32_t bz, uint32_t shared, uint64_t stream, const void *parameters, uint64_t extra)',
  cuLaunchKernelEx: 'int cuLaunchKernelEx(const void *config, uint64_t function, const void *parameters, uint64_t extra)',
  cuTensorMapEncodeTiled:
    'int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, uint64_t address, const void *sizes, const void *strides, const void *box, const void *steps, int interleave, int swizzle, int promotion, int fill)',
  cuStreamCreate: 'int cuStreamCreate(void *stream, unsigned int flags)',
  cuStreamDestroy: 'int cuStreamDestroy_v2(uint64_t stream)',
  cuStreamSynchronize: 'int cuStreamSynchronize(uint64_t stream)',
  cuStreamQuery: 'int cuStreamQuery(uint64_t stream)',
  cuStreamWaitEvent: 'int cuStreamWaitEvent(uint64_t stream, uint64_t event, unsigned int flags)',
  cuStreamBeginCapture: 'int cuStreamBeginCapture_v2(uint64_t stream, int mode)',
  cuStreamEndCapture: 'int cuStreamEndCapture(uint64_t stream, void *graph)',
  cuGraphInstantiate: 'int cuGraphInstantiateWithFlags(void *executable, uint64_t graph, uint64_t flags)',
  cuGraphLaunch: 'int cuGraphLaunch(uint64_t executable, uint64_t stream)',
  cuGraphExecDestroy: 'int cuGraphExecDestroy(uint64_t executable)',
  cuGraphDestroy: 'int cuGraphDestroy(uint64_t graph)',
  cuEventCreate: 'int cuEventCreate(void *event, unsigned int flags)',
  cuEventDestroy: 'int cuEventDestroy_v2(uint64_t event)',
  cuEventRecord: 'int cuEventRecord(uint64_t event, uint64_t stream)',
  cuEventSynchronize: 'int cuEventSynchronize(uint64_t event)',
  cuEventQuery: 'int cuEventQuery(uint64_t event)',
  cuEventElapsedTime: 'int cuEventElapsedTime(void *milliseconds, uint64_t start, uint64_t end)',
} as const;

/** Functions that older drivers lack; who calls them looks at the driver's version first. */
const optional: readonly string[] = ['cuLaunchKernelEx', 'cuTensorMapEncodeTiled'];

export type CudaFunctionName = keyof typeof prototypes;
type Argument = number | bigint | string | ArrayBufferView | (string | null)[];

/** The driver: raw calls, and calls that throw. */
export interface CudaDriver {
  /** Calls a driver function; returns its CUresult. */
  call(name: CudaFunctionName, ...args: Argument[]): number;
  /** Calls a driver function; throws a {@link CudaError} unless it returns CUDA_SUCCESS. */
  check(name: CudaFunctionName, ...args: Argument[]): void;
  /** Address of a view's bytes. Valid while the view is referenced; its ArrayBuffer must have been allocated as one. */
  address(view: ArrayBufferView): bigint;
  /** The bytes of `length` at a host address, without a copy. */
  view(address: bigint, length: number): ArrayBuffer;
}

let loading: Promise<CudaDriver> | undefined;

/** Loads koffi and the driver once. Rejects with a {@link CudaError} where either is missing. */
export function loadCudaDriver(path: string = 'libcuda.so.1'): Promise<CudaDriver> {
  loading ??= load(path).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(path: string): Promise<CudaDriver> {
  let koffi: typeof import('koffi');
  try {
    const module = await import('koffi');
    koffi = (module as unknown as { default?: typeof import('koffi') }).default ?? module;
  } catch (cause) {
    throw new CudaError('loading the driver', 'the package koffi is not installed', 0, { cause });
  }
  const functions = new Map<CudaFunctionName, (...args: Argument[]) => number>();
  try {
    const library = koffi.load(path);
    for (const [name, prototype] of Object.entries(prototypes)) {
      try {
        functions.set(name as CudaFunctionName, library.func(prototype) as (...args: Argument[]) => number);
      } catch (error) {
        if (!optional.includes(name)) throw error;
      }
    }
  } catch (cause) {
    throw new CudaError('loading the driver', cause instanceof Error ? cause.message : String(cause), 0, { cause });
  }
  const call = (name: CudaFunctionName, ...args: Argument[]): number => functions.get(name)!(...args);
  const check = (name: CudaFunctionName, ...args: Argument[]): void => {
    const code = call(name, ...args);
    if (code === 0) return;
    const label: (string | null)[] = [null];
    const text: (string | null)[] = [null];
    call('cuGetErrorName', code, label);
    call('cuGetErrorString', code, text);
    throw new CudaError(name, `${label[0] ?? 'unknown error'}: ${text[0] ?? 'no description'}`, code);
  };
  check('cuInit', 0);
  return {
    call,
    check,
    address: (view) => BigInt(koffi.address(view)),
    view: (address, length) => koffi.view(address, length) as ArrayBuffer,
  };
}
