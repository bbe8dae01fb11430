import type { RoutineName } from '../../graph/routines';
import type { CpuRoutine } from '../routine';
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

/** Every routine on WASM. */
export const cpuRoutines: Record<RoutineName, CpuRoutine> = {
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
