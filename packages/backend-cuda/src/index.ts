export type { CudaRoutine, PreparedRoutine, RoutineHost, RoutinePointers } from './routine';
