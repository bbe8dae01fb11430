import { type RoutineCall, sizeOf, type TensorSpec } from '@mamba-ts/tensor';
import { type ElementType, elementTypes } from '../element-types';
import { ptx } from '../ptx/state-update';
import type { CudaRoutine } from '../routine';
import { StructLaunch } from '../struct-launch';
import { firstElement, rowPitch } from '../views';

/** Fields of `StateUpdateArguments` (kernels/state-update.cu), in order. */
const fields = [
  'state', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'y', 'next', 'fault',
  'batch', 'channels', 'dState', 'groups', 'typeU', 'typeDelta', 'typeB', 'typeC', 'typeZ', 'rowU', 'rowDelta', 'rowB', 'rowC', 'rowZ', 'variableB', 'variableC', 'softplus',
] as const;

function typeOf(call: RoutineCall, input: number): number {
  return elementTypes[(call.inputs[input]?.dtype ?? 'float32') as ElementType];
}

export const stateUpdate: CudaRoutine = {
  halfInputs: [1, 2, 4, 5, 7],
  viewInputs: { 1: 1, 2: 1, 4: 1, 5: 1, 7: 1 },
  scratchBytes: () => 0,
  prepare(call, host) {
    const [batch, channels] = (call.inputs[1] as TensorSpec).shape;
    const dState = (call.inputs[3] as TensorSpec).shape[1];
    const { groups, complex, variableB, variableC, deltaSoftplus } = call.attributes;
    const name = complex ? 'state_update_complex' : 'state_update_real';
    // What lies between the operands of one sequence and the next: of one channel and the next where they are constant.
    const row = (input: number): number => {
      const spec = call.inputs[input];
      return spec ? rowPitch(spec, sizeOf(spec.shape.slice(1))) : 0;
    };
    const at = (inputs: readonly bigint[], input: number): bigint => firstElement(inputs[input], call.inputs[input]);
    const blocks = Math.ceil((batch * channels * 4) / 128);
    const kernel = new StructLaunch(host.context.driver, host.kernel(ptx, name), { grid: [blocks], block: [128] }, fields).set({
      ...{ batch, channels, dState, groups: Number(groups), variableB, variableC, softplus: deltaSoftplus, fault: host.fault },
      ...{ rowU: row(1), rowDelta: row(2), rowB: row(4), rowC: row(5), rowZ: row(7) },
      ...{ typeU: typeOf(call, 1), typeDelta: typeOf(call, 2), typeB: typeOf(call, 4), typeC: typeOf(call, 5), typeZ: typeOf(call, 7) },
    });
    return {
      guarded: true,
      launch(stream, { inputs, outputs: [y, next] }) {
        if (blocks === 0) return;
        const [state, , , A, , , D, , deltaBias] = inputs;
        const views = { u: at(inputs, 1), delta: at(inputs, 2), B: at(inputs, 4), C: at(inputs, 5), z: at(inputs, 7) };
        kernel.set({ ...views, state, A, D, deltaBias, y, next }).launch(stream);
      },
      describe: () => `${name}, ${blocks} blocks, 4 lanes a channel`,
    };
  },
};
