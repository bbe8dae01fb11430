import type { RoutineName } from '@mamba-ts/tensor';
import type { CudaRoutine } from '../routine';
import { causalConv1d } from './causal-conv1d';
import { causalConv1dBackward } from './causal-conv1d-backward';
import { gather } from './gather';
import { longConv, longConvGradInput, longConvGradKernel } from './long-conv';
import { matmul } from './matmul';
import { selectiveScan, selectiveScanBackward } from './selective-scan';
import { stateUpdate } from './state-update';

/** Every routine on CUDA, one file each. */
export const cudaRoutines: Partial<Record<RoutineName, CudaRoutine>> = {
  ...{ matmul, causalConv1d, causalConv1dBackward, selectiveScan, selectiveScanBackward, stateUpdate },
  ...{ longConv, longConvGradInput, longConvGradKernel, gather },
};
