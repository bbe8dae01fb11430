import type { ScanShape } from '@mamba-ts/scan';
import { CudaScan, type PreparedScan, planScan, type ScanPass, type ScanPlan, type ScanPointers } from '@mamba-ts/scan-cuda';
import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import type { RoutineCall, TensorSpec } from '@mamba-ts/tensor';
import type { CudaRoutine, RoutineHost } from '../routine';

/** The last ones of both lists: where the two passes are a pair (`Backend.scanCheckpoints`). */
const scanInputs = ['u', 'delta', 'A', 'B', 'C', 'D', 'z', 'deltaBias', 'initialState', 'resets', 'checkpoints'] as const;
const scanOutputs = ['y', 'lastState', 'checkpoints'] as const;
const gradients = ['gradU', 'gradDelta', 'gradA', 'gradB', 'gradC', 'gradD', 'gradZ', 'gradDeltaBias', 'gradInitialState'] as const;
const sharedKernels = 'scan-cuda';

/** Sizes of the scan behind a call whose u is input number `u`. */
function shapeOf(call: RoutineCall, u: number): ScanShape {
  const [batch, length] = (call.inputs[u] as TensorSpec).shape;
  const [channels, dState] = (call.inputs[u + 2] as TensorSpec).shape;
  const { groups, complex, variableB, variableC } = call.attributes;
  return {
    ...{ batch, length, channels, dState, groups: Number(groups) },
    ...{ complex: Boolean(complex), variableB: Boolean(variableB), variableC: Boolean(variableC) },
  };
}

/** Addresses by the scan's names; absent arrays are left out. */
function named(names: readonly (keyof ScanPointers)[], addresses: readonly bigint[]): Partial<ScanPointers> {
  // An absent input has an empty gradient, which has no address.
  return Object.fromEntries(names.flatMap((name, i) => (addresses[i] ? [[name, addresses[i]]] : [])));
}

/** A pass of the scan package's; `u`: position of u among the inputs. */
function scanRoutine(
  pass: ScanPass,
  u: number,
  bind: (inputs: readonly bigint[], outputs: readonly bigint[]) => Partial<ScanPointers>,
): CudaRoutine {
  const isPaired = ({ inputs, outputs }: RoutineCall): boolean =>
    pass === 'forward' ? outputs.length === scanOutputs.length : inputs.length === u + scanInputs.length;
  const plan = (call: RoutineCall, { multiprocessors }: CudaContext, checkpoints = isPaired(call)): ScanPlan =>
    planScan(shapeOf(call, u), { pass, deltaSoftplus: Boolean(call.attributes.deltaSoftplus), checkpoints, multiprocessors });
  const refuses = (call: RoutineCall, context: CudaContext): string | null => {
    try {
      plan(call, context);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const kernels = (host: RoutineHost): CudaScan => host.shared(sharedKernels, () => new CudaScan(host.context));
  return {
    open: (host) => kernels(host).load(),
    refuses,
    checkpoints: (call, context) => (pass === 'forward' && refuses(call, context) === null ? plan(call, context, true).checkpointBytes / 4 : 0),
    scratchBytes: (call, context) => plan(call, context).scratchBytes,
    prepare(call, host) {
      const prepared: PreparedScan = kernels(host).prepareLoaded(plan(call, host.context));
      return {
        launch(stream, { inputs, outputs, scratch }) {
          prepared.launch({ ...bind(inputs, outputs), scratch: scratch === 0n ? undefined : scratch } as ScanPointers, stream);
        },
        describe: () => `${prepared.plan.explanation}${pass === 'forward' && isPaired(call) ? '; leaves checkpoints' : ''}`,
      };
    },
  };
}

export const selectiveScan: CudaRoutine = scanRoutine('forward', 0, (inputs, outputs) => ({
  ...named(scanInputs, inputs),
  ...named(scanOutputs, outputs),
}));

export const selectiveScanBackward: CudaRoutine = scanRoutine('backward', 2, (inputs, outputs) => ({
  ...named(['gradY', 'gradLastState', ...scanInputs], inputs),
  ...named(gradients, outputs),
}));
