export { CudaError } from './errors';
export { type CudaDriver, type CudaFunctionName, loadCudaDriver } from './library';
export { CudaContext, type CudaContextOptions, type DevicePointer, type HostBuffer } from './context';
export { CudaFunction, CudaModule, type Grid, KernelArguments } from './module';
export { CudaEvent, CudaGraph, CudaStream } from './stream';
export { encodeTensorMap, type TiledMatrix, tensorMapBytes } from './tensor-map';
