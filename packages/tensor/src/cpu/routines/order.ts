import { sizeOf } from '../../shape';
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

export const sort: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'sort' }],
  scratchBytes: (call) => 4 * sizeOf((call.inputs[0] as TensorSpec).shape),
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs, scratch }) {
    writeFields(view, at, [inputs[0], outputs[0], outputs[1], scratch, ...(call.inputs[0] as TensorSpec).shape]);
  },
};

export const cumsum: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'cumsum' }],
  scratchBytes: () => 0,
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs }) {
    writeFields(view, at, [inputs[0], outputs[0], ...(call.inputs[0] as TensorSpec).shape, Number(Boolean(call.attributes.reverse))]);
  },
};
