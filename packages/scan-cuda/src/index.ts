export { type ScanPass, type ScanPlan, type ScanPlanOptions, type PlannedKernel, planScan } from './plan';
export type { Layout, ScanDtype } from './layout';
export { CudaScan, PreparedScan, type ScanPointers, scanBytes } from './scan';
export { CudaContext, CudaError, CudaEvent, CudaGraph, CudaStream } from './driver/index';
