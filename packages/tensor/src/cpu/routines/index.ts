import type { RoutineName } from '../../graph/routines';
import type { CpuRoutine } from '../routine';
import { causalConv1d, causalConv1dBackward } from './causal-conv1d';
import { crossEntropy } from './cross-entropy';
import { gather, scatterAdd } from './indexing';
import { longConv, longConvGradInput, longConvGradKernel } from './long-conv';
import { matmul } from './matmul';
import { argmax, cumsum, sort } from './order';
import { selectiveScan, selectiveScanBackward, stateUpdate } from './selective-scan';

/** Every routine on WASM. */
export const cpuRoutines: Record<RoutineName, CpuRoutine> = {
  matmul, causalConv1d, causalConv1dBackward, longConv, longConvGradInput, longConvGradKernel, selectiveScan, selectiveScanBackward, stateUpdate,
  gather, scatterAdd, crossEntropy, argmax, sort, cumsum,
};
