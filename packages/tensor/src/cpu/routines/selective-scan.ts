import {
  type ScanCall,
  scanExports,
  type ScanKernel,
  type ScanPointers,
  scanParamsBytes,
  scanScratchBytes,
  type ScanShape,
  scanTileStatesBytes,
  writeScanParams,
} from '@mamba-ts/scan';
import type { RoutineCall, TensorSpec } from '../../compile/program';
import type { CpuRoutine } from '../routine';

/**
 * The scan's kernels want a work area per thread; the plan must not depend on how many threads there are, so it has
 * room for all that a device may have.
 */
const mostThreads = 64;

/** The last: where a scan left them for its backward pass. */
const scanArguments = [
  ...['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'resets'],
  'tileStates',
] as const;
const gradientNames = [
  'gradU',
  'gradDelta',
  'gradA',
  'gradB',
  'gradC',
  'gradD',
  'gradZ',
  'gradDeltaBias',
  'gradInitialState',
] as const;

/** Sizes of the scan behind a call whose u is input number `u`. */
function shapeOf(call: RoutineCall, u: number): ScanShape {
  const rows = (call.inputs[u] as TensorSpec).shape;
  const A = (call.inputs[u + 2] as TensorSpec).shape;
  const { groups, complex, variableB, variableC } = call.attributes;
  return {
    batch: rows[0],
    length: rows.length === 3 ? rows[1] : 1,
    channels: A[0],
    dState: A[1],
    groups: Number(groups),
    complex: Boolean(complex),
    variableB: Boolean(variableB),
    variableC: Boolean(variableC),
  };
}

/**
 * A routine that is one kernel of the scan package: `u` is the position of u among the inputs, `bind` says which
 * pointer is what.
 */
function scanRoutine(
  kernel: ScanKernel,
  u: number,
  bind: (call: RoutineCall, inputs: readonly number[], outputs: readonly number[]) => ScanPointers,
): CpuRoutine {
  const given = (call: RoutineCall): boolean => call.inputs.length > u + scanArguments.indexOf('tileStates');
  return {
    phases: (call) =>
      scanExports[kernel]
        .filter((name) => name !== 'scanBackwardStates' || !given(call))
        .map((name) => ({ module: 'scan', name })),
    scratchBytes: (call) => scanScratchBytes(shapeOf(call, u), kernel, mostThreads, given(call)),
    paramBytes: () => scanParamsBytes,
    writeParams(view, at, call, pointers) {
      const scan: ScanCall = {
        kernel,
        shape: shapeOf(call, u),
        pointers: bind(call, pointers.inputs, pointers.outputs),
        deltaSoftplus: Boolean(call.attributes.deltaSoftplus),
        scratch: pointers.scratch,
        threads: mostThreads,
      };
      writeScanParams(view, at, scan);
    },
  };
}

/** Input pointers from position `first` on, by the scan's argument names. */
function named(inputs: readonly number[], first: number): ScanPointers {
  return Object.fromEntries(
    inputs.slice(first).map((pointer, i) => [scanArguments[i], pointer]),
  ) as unknown as ScanPointers;
}

export const selectiveScan: CpuRoutine = {
  ...scanRoutine('forward', 0, (_, inputs, [y, lastState, tileStates]) => ({
    ...named(inputs, 0),
    y,
    lastState,
    tileStates,
  })),
  checkpoints: (call) => scanTileStatesBytes(shapeOf(call, 0)) / 4,
};

export const selectiveScanBackward: CpuRoutine = scanRoutine('backward', 2, (call, inputs, outputs) => ({
  ...named(inputs, 2),
  gradY: inputs[0],
  gradLastState: inputs[1],
  // An absent input has no gradient: its output is empty.
  ...Object.fromEntries(gradientNames.map((name, i) => [name, call.inputs[i + 2] ? outputs[i] : 0])),
}));

export const stateUpdate: CpuRoutine = scanRoutine('stateUpdate', 1, (_, inputs, [y, lastState]) => ({
  ...named(inputs, 1),
  initialState: inputs[0],
  y,
  lastState,
}));
