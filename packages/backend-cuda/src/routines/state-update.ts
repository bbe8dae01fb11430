import { type Kernel, type RoutineCall, sizeOf, type TensorSpec } from '@mamba-ts/tensor';
import { type ElementType, elementTypes } from '../element-types';
import { simpleEpilogue } from '../epilogue';
import { ptx } from '../ptx/state-update';
import type { CudaRoutine } from '../routine';
import { StructLaunch } from '../struct-launch';
import { firstElement, rowPitch } from '../views';

/** Fields of `StateUpdateArguments` (kernels/state-update.cu), in order. */
const fields = [
  'state', 'u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'y', 'next', 'fault',
  'batch', 'channels', 'dState', 'groups', 'typeU', 'typeDelta', 'typeB', 'typeC', 'typeZ', 'typeY', 'rowU', 'rowDelta', 'rowB', 'rowC', 'rowZ', 'variableB', 'variableC', 'softplus', 'early',
] as const;

function typeOf(call: RoutineCall, input: number): number {
  return elementTypes[(call.inputs[input]?.dtype ?? 'float32') as ElementType];
}

/** The type that an epilogue stores y in, if it does nothing else. */
function castTo(call: RoutineCall, kernel: Kernel): ElementType | null {
  const found = simpleEpilogue(kernel, call.outputs[0].shape);
  return found && found.bias === undefined && !found.activation && !found.residual ? found.type : null;
}

export const stateUpdate: CudaRoutine = {
  halfInputs: [1, 2, 4, 5, 7],
  viewInputs: { 1: 1, 2: 1, 4: 1, 5: 1, 7: 1 },
  scratchBytes: () => 0,
  // y may be stored in half precision.
  absorbs: (call, kernel) => castTo(call, kernel) !== null,
  prepare(call, host, epilogue) {
    const [batch, channels] = (call.inputs[1] as TensorSpec).shape;
    const dState = (call.inputs[3] as TensorSpec).shape[1];
    const { groups, complex, variableB, variableC, deltaSoftplus } = call.attributes;
    // What lies between the operands of one sequence and the next: of one channel and the next where they are constant.
    const row = (input: number): number => {
      const spec = call.inputs[input];
      return spec ? rowPitch(spec, sizeOf(spec.shape.slice(1))) : 0;
    };
    const at = (inputs: readonly bigint[], input: number): bigint => firstElement(inputs[input], call.inputs[input]);
    const plain = !complex && variableB && variableC && dState === 16 && [1, 2, 4, 5, 7].every((i) => typeOf(call, i) === elementTypes.float32);
    // All channels of a block, 32, have the same B and C.
    const shared = Number(groups) === 1 || (channels / Number(groups)) % 32 === 0;
    const quads = plain && shared && row(4) % 4 === 0 && row(5) % 4 === 0 && Math.ceil(batch / 4) <= 65535;
    // Four sequences a thread where that leaves every multiprocessor two blocks' worth of work and more.
    const together = quads && batch * channels >= 256 * host.context.multiprocessors ? 4 : 1;
    let name = complex ? 'state_update_complex' : 'state_update_real';
    if (quads) name = `state_update_quads${together}`;
    const blocks = batch === 0 ? 0 : Math.ceil((channels * 4) / 128);
    const geometry = { grid: [blocks, quads ? Math.ceil(batch / together) : Math.min(batch, 65535)], block: [128] } as const;
    const typeY = elementTypes[(epilogue && castTo(call, epilogue)) ?? 'float32'];
    const kernel = new StructLaunch(host.context.driver, host.kernel(ptx, name), geometry, fields).set({
      typeY,
      ...{ batch, channels, dState, groups: Number(groups), variableB, variableC, softplus: deltaSoftplus, fault: host.fault },
      ...{ rowU: row(1), rowDelta: row(2), rowB: row(4), rowC: row(5), rowZ: row(7) },
      ...{ typeU: typeOf(call, 1), typeDelta: typeOf(call, 2), typeB: typeOf(call, 4), typeC: typeOf(call, 5), typeZ: typeOf(call, 7) },
    });
    return {
      guarded: true,
      launch(stream, { inputs, outputs: [y, next], unwritten }) {
        if (blocks === 0) return;
        const [state, , , A, , , D, , deltaBias] = inputs;
        const views = { u: at(inputs, 1), delta: at(inputs, 2), B: at(inputs, 4), C: at(inputs, 5), z: at(inputs, 7) };
        const early = unwritten !== undefined && unwritten[0] && unwritten[3];
        kernel.set({ ...views, state, A, D, deltaBias, y, next, early }).launch(stream);
      },
      describe: () => `${name}, ${geometry.grid.join(' × ')} blocks, 4 lanes a channel`,
    };
  },
};
