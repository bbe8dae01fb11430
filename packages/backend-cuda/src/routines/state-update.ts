import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import { type ElementType, elementTypes } from '../element-types';
import { ptx } from '../ptx/state-update';
import type { CudaRoutine } from '../routine';
import { StructLaunch } from '../struct-launch';

/** Fields of `StateUpdateArguments` (kernels/state-update.cu), in order. */
const fields = [
  'state', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'y', 'next', 'fault',
  'batch', 'channels', 'dState', 'groups', 'typeU', 'typeDelta', 'typeB', 'typeC', 'typeZ', 'variableB', 'variableC', 'softplus',
] as const;

function typeOf(call: RoutineCall, input: number): number {
  return elementTypes[(call.inputs[input]?.dtype ?? 'float32') as ElementType];
}

export const stateUpdate: CudaRoutine = {
  halfInputs: [1, 2, 4, 5, 7],
  scratchBytes: () => 0,
  prepare(call, host) {
    const [batch, channels] = (call.inputs[1] as TensorSpec).shape;
    const dState = (call.inputs[3] as TensorSpec).shape[1];
    const { groups, complex, variableB, variableC, deltaSoftplus } = call.attributes;
    const name = complex ? 'state_update_complex' : 'state_update_real';
    const blocks = Math.ceil((batch * channels * 4) / 128);
    const kernel = new StructLaunch(host.context.driver, host.kernel(ptx, name), { grid: [blocks], block: [128] }, fields).set({
      ...{ batch, channels, dState, groups: Number(groups), variableB, variableC, softplus: deltaSoftplus, fault: host.fault },
      ...{ typeU: typeOf(call, 1), typeDelta: typeOf(call, 2), typeB: typeOf(call, 4), typeC: typeOf(call, 5), typeZ: typeOf(call, 7) },
    });
    return {
      guarded: true,
      launch(stream, { inputs: [state, u, delta, A, B, C, D, z, deltaBias], outputs: [y, next] }) {
        if (blocks > 0) kernel.set({ state, u, delta, A, B, C, D, z, deltaBias, y, next }).launch(stream);
      },
      describe: () => `${name}, ${blocks} blocks, 4 lanes a channel`,
    };
  },
};
