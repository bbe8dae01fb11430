import type { TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { writeFields } from './parameter-struct';

export const argmax: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'argmax' }],
  scratchBytes: () => 0,
  paramBytes: () => 16,
  writeParams(view, at, call, { inputs, outputs }) {
    writeFields(view, at, [inputs[0], outputs[0], ...(call.inputs[0] as TensorSpec).shape]);
  },
};
