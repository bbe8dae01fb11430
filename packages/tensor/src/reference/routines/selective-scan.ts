import {
  type ScanGradients,
  type ScanInputs,
  type ScanShape,
  selectiveScanBackwardReference,
  selectiveScanReference,
} from '@mamba-ts/scan';
import type { RefArray, ReferenceRoutine } from '../array';

type Arguments = readonly (RefArray | null)[];
type Attributes = Parameters<ReferenceRoutine>[2];

function shapeOf(u: RefArray, A: RefArray, attributes: Attributes, step: boolean): ScanShape {
  return {
    batch: u.shape[0],
    length: step ? 1 : u.shape[1],
    channels: A.shape[0],
    dState: A.shape[1],
    groups: Number(attributes.groups),
    complex: Boolean(attributes.complex),
    variableB: Boolean(attributes.variableB),
    variableC: Boolean(attributes.variableC),
  };
}

/** u, delta, A, B, C, D?, z?, deltaBias?, initialState?, resets? as the scan package names them. */
function scanInputs(args: Arguments): ScanInputs<Float64Array> {
  const [u, delta, A, B, C, D, z, deltaBias, initialState, resets] = args.map(
    (a) => a?.data as Float64Array | undefined,
  );
  return {
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    deltaBias,
    initialState,
    resets: resets as unknown as Int32Array | undefined,
  } as ScanInputs<Float64Array>;
}

/** Leaves no checkpoints, where a backend's program asks for them: backward does not need any. */
export const selectiveScan: ReferenceRoutine = (inputs, [y, lastState], attributes) => {
  const shape = shapeOf(inputs[0] as RefArray, inputs[2] as RefArray, attributes, false);
  const out = selectiveScanReference(shape, scanInputs(inputs), { deltaSoftplus: Boolean(attributes.deltaSoftplus) });
  y.data.set(out.y);
  lastState.data.set(out.lastState);
};

export const selectiveScanBackward: ReferenceRoutine = (inputs, outputs, attributes) => {
  const [gradY, gradLastState, ...args] = inputs;
  const shape = shapeOf(args[0] as RefArray, args[2] as RefArray, attributes, false);
  const above = {
    y: (gradY as RefArray).data as Float64Array,
    lastState: gradLastState?.data as Float64Array | undefined,
  };
  const gradients = selectiveScanBackwardReference(shape, scanInputs(args), above, {
    deltaSoftplus: Boolean(attributes.deltaSoftplus),
  });
  const names: (keyof ScanGradients)[] = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState'];
  names.forEach((name, i) => {
    const g = gradients[name];
    if (g) outputs[i].data.set(g);
  });
};

/** A scan of length 1 that starts at the given state. */
export const stateUpdate: ReferenceRoutine = (inputs, [y, newState], attributes) => {
  const [state, ...args] = inputs;
  const shape = shapeOf(args[0] as RefArray, args[2] as RefArray, attributes, true);
  const out = selectiveScanReference(shape, scanInputs([...args, state, null]), {
    deltaSoftplus: Boolean(attributes.deltaSoftplus),
  });
  y.data.set(out.y);
  newState.data.set(out.lastState);
};
