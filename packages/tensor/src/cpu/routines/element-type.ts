import type { RoutineCall } from '../../compile/program';

/** Storage type of an input as the kernels number it (assembly/half.ts): 0 float32, 1 bfloat16, 2 float16. */
export function elementType(call: RoutineCall, input: number): 0 | 1 | 2 {
  const dtype = call.inputs[input]?.dtype;
  return dtype === 'bfloat16' ? 1 : dtype === 'float16' ? 2 : 0;
}
