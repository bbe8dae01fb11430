export type { CudaRoutine, PreparedRoutine, RoutineHost, RoutinePointers } from './routine';
export { cuda, type CudaOptions } from './cuda';
