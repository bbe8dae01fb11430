import type { RoutineName } from '@mamba-ts/tensor';
import type { WebGpuRoutine } from '../routine';
import { argmax } from './argmax';
import { causalConv1d, causalConv1dBackward } from './causal-conv1d';
import { crossEntropy } from './cross-entropy';
import { cumsum } from './cumsum';
import { gather } from './gather';
import { longConv, longConvGradInput, longConvGradKernel } from './long-conv';
import { matmul } from './matmul';
import { scatterAdd } from './scatter-add';
import { selectiveScan, selectiveScanBackward, stateUpdate } from './selective-scan';
import { sort } from './sort';

/** Every routine on WebGPU. */
export const webgpuRoutines: Record<RoutineName, WebGpuRoutine> = {
  matmul,
  causalConv1d,
  causalConv1dBackward,
  longConv,
  longConvGradInput,
  longConvGradKernel,
  selectiveScan,
  selectiveScanBackward,
  stateUpdate,
  gather,
  scatterAdd,
  crossEntropy,
  argmax,
  sort,
  cumsum,
};
