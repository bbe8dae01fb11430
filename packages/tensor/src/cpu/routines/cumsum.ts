import type { TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { writeFields } from './parameter-struct';

export const cumsum: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'cumsum' }],
  scratchBytes: () => 0,
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs }) {
    const [rows, length, width] = (call.inputs[0] as TensorSpec).shape;
    writeFields(view, at, [inputs[0], outputs[0], rows, length, width, call.attributes.reverse ? 1 : 0]);
  },
};
