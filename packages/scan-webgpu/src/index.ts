export { ScanGpuError, type ScanGpuErrorCode } from './errors';
export {
  type DeviceCapabilities,
  type PlanTensor,
  type ScanKernel,
  type ScanOperation,
  type ScanPlan,
  type ScanPlanOptions,
  type TensorName,
  type Tiling,
} from './types';
export { planScan } from './plan';
export {
  type BoundScan,
  type CompiledScan,
  type ScanBinding,
  type ScanBuffers,
  compileScan,
  compileScanAsync,
} from './scan';
