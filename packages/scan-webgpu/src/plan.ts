// Which kernels run a scan, with how many workgroups and how much scratch. Pure arithmetic: needs no device.
import { type ScanShape, ScanShapeError, checkScanShape } from '@mamba-ts/scan';
import { type ScanArray, type ScanDtype, arrayBytes, chunkSteps } from './arrays';
import { type ScanLimits, baselineLimits } from './limits';
import type { PlannedKernel } from './plan-builder';
import { ScanPlanner } from './planner';
import type { KernelOptions } from './wgsl/module';

export type ScanPass = 'forward' | 'backward' | 'step';

/** Arrays that a scan may have or lack. In backward `D`, `z` and `deltaBias` bring their gradients along. */
export type OptionalArray =
  | 'D'
  | 'z'
  | 'deltaBias'
  | 'initialState'
  | 'resets'
  | 'lastState'
  | 'gradLastState'
  | 'gradInitialState';

export interface ScanPlanOptions {
  readonly pass: ScanPass;
  /** Which optional arrays the launch will be given. A step without `initialState` updates `lastState` in place. */
  readonly arrays?: readonly OptionalArray[];
  /** Storage of u, delta, z, y, variable B and C, and their gradients. Default float32. */
  readonly dtype?: ScanDtype;
  /** dt = log(1 + exp(delta + deltaBias)). Default false. */
  readonly deltaSoftplus?: boolean;
  /**
   * Forward: also leave `checkpoints` for backward. Backward: `checkpoints` come from forward; otherwise backward makes
   * them itself, for the price of another pass. Default false.
   */
  readonly checkpoints?: boolean;
  /** Inputs, outputs and scratch may be parts of one GPUBuffer. Default false: inputs are declared read-only. */
  readonly oneBuffer?: boolean;
  /** What the device allows, see `deviceLimits`. Default: what every device has. */
  readonly limits?: ScanLimits;
  /** Invocations that keep the device busy. Default 131,072, which suits large GPUs. */
  readonly invocations?: number;
  /** Overrides of the choice, for measurements. */
  readonly override?: PlanOverride;
}

export interface PlanOverride {
  readonly exchange?: KernelOptions['exchange'];
  readonly coefficients?: KernelOptions['coefficients'];
  readonly backwardExchange?: KernelOptions['exchange'];
  readonly segments?: number;
  /** Subgroups of a workgroup that take tiles of steps in turn; 1: none. */
  readonly team?: number;
  readonly parts?: number;
  readonly workgroup?: number;
}

/** What was decided for a scan. */
export interface ScanPlan {
  readonly shape: ScanShape;
  readonly pass: ScanPass;
  readonly dtype: ScanDtype;
  readonly deltaSoftplus: boolean;
  readonly oneBuffer: boolean;
  /** Steps between checkpoints. */
  readonly chunk: number;
  /** Arrays that a launch must be given. */
  readonly arrays: readonly ScanArray[];
  /** Bytes of the `checkpoints` array that forward leaves and backward takes; 0 where the plan has none. */
  readonly checkpointBytes: number;
  /** Bytes of scratch that a launch needs. */
  readonly scratchBytes: number;
  /** What is dispatched, in order. */
  readonly kernels: readonly PlannedKernel[];
  /** Says in words what runs and why. */
  readonly explanation: string;
}

const optionalArrays: Record<ScanPass, readonly OptionalArray[]> = {
  forward: ['D', 'z', 'deltaBias', 'initialState', 'resets', 'lastState'],
  step: ['D', 'z', 'deltaBias', 'initialState', 'resets', 'lastState'],
  backward: ['D', 'z', 'deltaBias', 'initialState', 'resets', 'gradLastState', 'gradInitialState'],
};

function checkOptions(shape: ScanShape, options: ScanPlanOptions, limits: ScanLimits): void {
  checkScanShape(shape, 'planScan');
  const { pass, dtype = 'float32', arrays = [] } = options;
  const refuse = (option: string, expected: string, got: string): never => {
    throw new ScanShapeError('planScan', option, expected, got);
  };
  if (!['forward', 'backward', 'step'].includes(pass))
    refuse('options.pass', `'forward', 'backward' or 'step'`, `value ${String(pass)}`);
  if (dtype !== 'float32' && dtype !== 'f16') refuse('options.dtype', `'float32' or 'f16'`, `value ${String(dtype)}`);
  if (dtype === 'f16' && !limits.f16) refuse('options.dtype', 'float32 on a device without shader-f16', `value 'f16'`);
  if (pass === 'step' && shape.length !== 1) refuse('shape.length', '1 (one step)', `value ${shape.length}`);
  for (const name of arrays) {
    if (!optionalArrays[pass].includes(name))
      refuse('options.arrays', `some of ${optionalArrays[pass].join(', ')} in ${pass}`, `entry '${String(name)}'`);
  }
}

/** Arrays of a launch, in the order in which they are declared. */
function arraysOf(options: ScanPlanOptions): ScanArray[] {
  const { pass, arrays = [], checkpoints = false } = options;
  const has = (name: OptionalArray): boolean => arrays.includes(name);
  const inputs: ScanArray[] = ['u', 'delta', 'A', 'B', 'C'];
  for (const name of ['D', 'z', 'deltaBias', 'initialState', 'resets'] as const) if (has(name)) inputs.push(name);
  const saved: ScanArray[] = checkpoints && pass !== 'step' ? ['checkpoints'] : [];
  if (pass === 'step') return [...inputs, 'y', 'lastState'];
  if (pass === 'forward') return [...inputs, 'y', ...(has('lastState') ? (['lastState'] as const) : []), ...saved];
  return [
    ...inputs,
    ...saved,
    'gradY',
    ...(has('gradLastState') ? (['gradLastState'] as const) : []),
    ...(['gradU', 'gradDelta', 'gradA', 'gradB', 'gradC'] as const),
    ...(has('D') ? (['gradD'] as const) : []),
    ...(has('z') ? (['gradZ'] as const) : []),
    ...(has('deltaBias') ? (['gradDeltaBias'] as const) : []),
    ...(has('gradInitialState') ? (['gradInitialState'] as const) : []),
  ];
}

/**
 * Chooses kernels and chunking for a scan. Throws a ScanShapeError where `shape` is not a scan's, or an array is larger
 * than the device lets a kernel see.
 */
export function planScan(shape: ScanShape, options: ScanPlanOptions): ScanPlan {
  const {
    pass,
    dtype = 'float32',
    deltaSoftplus = false,
    checkpoints = false,
    oneBuffer = false,
    limits = baselineLimits,
  } = options;
  checkOptions(shape, options, limits);
  const arrays = arraysOf(options);
  const chunk = chunkSteps(shape);
  for (const name of arrays) {
    const bytes = arrayBytes(shape, dtype, name);
    if (bytes > limits.maxStorageBufferBindingSize) {
      throw new ScanShapeError(
        'planScan',
        'shape',
        `arrays of at most ${limits.maxStorageBufferBindingSize} bytes (maxStorageBufferBindingSize of the device)`,
        `${bytes} bytes of ${name}`,
      );
    }
  }
  const plan = new ScanPlanner(shape, options, limits, arrays);
  if (pass === 'backward') plan.backward();
  else plan.forward();
  const { builder, words } = plan;
  const kernels = builder.finish();
  if (builder.scratchBytes > limits.maxStorageBufferBindingSize) {
    throw new ScanShapeError(
      'planScan',
      'shape',
      `a scratch of at most ${limits.maxStorageBufferBindingSize} bytes (maxStorageBufferBindingSize of the device)`,
      `${builder.scratchBytes} bytes`,
    );
  }
  const checkpointBytes = checkpoints && pass !== 'step' ? arrayBytes(shape, dtype, 'checkpoints') : 0;
  const sizes = { chunk, arrays, checkpointBytes, scratchBytes: builder.scratchBytes };
  return {
    shape,
    pass,
    dtype,
    deltaSoftplus,
    oneBuffer,
    ...sizes,
    kernels,
    explanation: [...words, ...builder.words].join('; '),
  };
}
