import type { TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { elementType } from './element-type';
import { writeFields } from './parameter-struct';

export const gather: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'gather' }],
  scratchBytes: () => 0,
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs, fault }) {
    const [rows, width] = (call.inputs[0] as TensorSpec).shape;
    const [count] = (call.inputs[1] as TensorSpec).shape;
    writeFields(view, at, [...inputs, outputs[0], fault, rows, width, count, elementType(call, 0)]);
  },
};
