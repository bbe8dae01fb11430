import type { RoutineCall } from '../compile/program';
import { sizeOf } from '../shape';

/** Rough cost of a routine call in machine instructions: decides only whether it is worth waking the other threads. */
export function routineWork(call: RoutineCall): number {
  const sizes = [...call.inputs, ...call.outputs].map((spec) => (spec ? sizeOf(spec.shape) : 0));
  const elements = sizes.reduce((a, b) => a + b, 0);
  switch (call.name) {
    case 'matmul': {
      const a = call.inputs[0]?.shape ?? [];
      const shared = a[call.attributes.transposeA === true ? a.length - 2 : a.length - 1] ?? 1;
      return (sizes[sizes.length - 1] * shared) / 4 + elements;
    }
    case 'longConv':
    case 'longConvGradInput':
    case 'longConvGradKernel':
    case 'sort':
      return elements * 32;
    case 'selectiveScan':
    case 'selectiveScanBackward':
    case 'stateUpdate': {
      const dState =
        call.inputs[call.name === 'selectiveScanBackward' ? 4 : call.name === 'stateUpdate' ? 3 : 2]?.shape.at(-1) ?? 1;
      return elements * (4 + dState * 3);
    }
    case 'crossEntropy':
      return elements * 8;
    case 'causalConv1d':
    case 'causalConv1dBackward':
      return elements * 6;
    default:
      return elements;
  }
}
