import type { RoutineCall, TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { cacheLines, maxWorkers, writeFields } from './parameter-struct';

/** Two rows of (key, position) pairs and 256 counts for each thread that may sort. */
function workspaces(call: RoutineCall): { count: number; bytes: number } {
  const [rows, width] = (call.inputs[0] as TensorSpec).shape;
  return { count: Math.max(1, Math.min(maxWorkers, rows)), bytes: cacheLines(16 * width + 1024) };
}

export const sort: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'sort' }],
  scratchBytes(call) {
    const { count, bytes } = workspaces(call);
    return count * bytes;
  },
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs, scratch }) {
    const { count, bytes } = workspaces(call);
    writeFields(view, at, [inputs[0], ...outputs, ...(call.inputs[0] as TensorSpec).shape, scratch, bytes, count]);
  },
};
