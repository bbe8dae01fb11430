import type { RoutineCall, TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';
import { writeFields } from './parameter-struct';

/** gather and scatterAdd share the struct: source, ids, out, fault, count, rows, width. */
function byRow(name: 'gather' | 'scatterAdd', table: (call: RoutineCall) => TensorSpec): CpuRoutine {
  return {
    phases: () => [{ module: 'kernels', name }],
    scratchBytes: () => 0,
    paramBytes: () => 32,
    writeParams(view, at, call, { inputs, outputs, fault }) {
      const [count] = (call.inputs[1] as TensorSpec).shape;
      const [rows, width] = table(call).shape;
      writeFields(view, at, [inputs[0], inputs[1], outputs[0], fault, count, rows, width]);
    },
  };
}

export const gather: CpuRoutine = byRow('gather', (call) => call.inputs[0] as TensorSpec);
export const scatterAdd: CpuRoutine = byRow('scatterAdd', (call) => call.outputs[0]);
