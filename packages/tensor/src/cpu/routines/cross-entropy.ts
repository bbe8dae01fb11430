import type { TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { writeFields } from './parameter-struct';

export const crossEntropy: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'crossEntropy' }],
  scratchBytes: () => 0,
  paramBytes: () => 32,
  writeParams(view, at, call, { inputs, outputs, fault }) {
    const [rows, classes] = (call.inputs[0] as TensorSpec).shape;
    writeFields(view, at, [...inputs, ...outputs, fault, rows, classes, Number(call.attributes.ignoreIndex)]);
  },
};
