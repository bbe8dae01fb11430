import type { RoutineName } from '@mamba-ts/tensor';
import type { CudaRoutine } from '../routine';
import { gather } from './gather';

/** Every routine on CUDA, one file each. */
export const cudaRoutines: Partial<Record<RoutineName, CudaRoutine>> = { gather };
