import type { RoutineName } from '../../graph/routines';
import type { CpuRoutine } from '../routine';
import { crossEntropy } from './cross-entropy';
import { gather, scatterAdd } from './indexing';
import { matmul } from './matmul';
import { argmax, cumsum, sort } from './order';
import { selectiveScan, selectiveScanBackward, stateUpdate } from './selective-scan';

/** Every routine on WASM. */
export const cpuRoutines: Partial<Record<RoutineName, CpuRoutine>> = {
  matmul, selectiveScan, selectiveScanBackward, stateUpdate, gather, scatterAdd, crossEntropy, argmax, sort, cumsum,
};
