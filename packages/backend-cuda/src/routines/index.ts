import type { RoutineName } from '@mamba-ts/tensor';
import type { CudaRoutine } from '../routine';
import { argmax } from './argmax';
import { causalConv1d } from './causal-conv1d';
import { causalConv1dBackward } from './causal-conv1d-backward';
import { crossEntropy } from './cross-entropy';
import { cumsum } from './cumsum';
import { gather } from './gather';
import { longConv, longConvGradInput, longConvGradKernel } from './long-conv';
import { matmul } from './matmul';
import { scatterAdd } from './scatter-add';
import { selectiveScan, selectiveScanBackward } from './selective-scan';
import { sort } from './sort';
import { stateUpdate } from './state-update';

/** Every routine on CUDA, one file each. */
export const cudaRoutines: Record<RoutineName, CudaRoutine> = {
  ...{ matmul, causalConv1d, causalConv1dBackward, selectiveScan, selectiveScanBackward, stateUpdate },
  ...{ longConv, longConvGradInput, longConvGradKernel, gather, scatterAdd, crossEntropy, argmax, sort, cumsum },
};
