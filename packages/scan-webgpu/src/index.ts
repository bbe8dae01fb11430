export {
  type OptionalArray,
  type PlanOverride,
  type ScanPass,
  type ScanPlan,
  type ScanPlanOptions,
  planScan,
} from './plan';
export type { PlannedKernel } from './plan-builder';
export type { ScanArray, ScanDtype } from './arrays';
export { type ScanLimits, baselineLimits, deviceLimits } from './limits';
export { BoundScan, PreparedScan, type ScanBinding, type ScanBuffers, WebGpuScan, scanBytes } from './scan';
export { kernelSource } from './wgsl/index';
export type { KernelOptions } from './wgsl/module';
