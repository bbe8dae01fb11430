import { type ScanArgument, type ScanShape, scanDimensions, scanSize } from '@mamba-ts/scan';
import { type DeviceCapabilities, type PlanTensor, type ScanPlanOptions, type TensorName } from './types';
import { ScanGpuError } from './errors';

type Like = ScanArgument | 'resets' | 'y' | 'lastState';

const likeOf: Record<TensorName, Like> = {
  u: 'u',
  delta: 'delta',
  A: 'A',
  B: 'B',
  C: 'C',
  D: 'D',
  z: 'z',
  deltaBias: 'deltaBias',
  initialState: 'initialState',
  resets: 'resets',
  state: 'lastState',
  y: 'y',
  lastState: 'lastState',
  gradY: 'y',
  gradLastState: 'lastState',
  gradU: 'u',
  gradDelta: 'delta',
  gradA: 'A',
  gradB: 'B',
  gradC: 'C',
  gradD: 'D',
  gradZ: 'z',
  gradDeltaBias: 'deltaBias',
  gradInitialState: 'initialState',
};

/** Elements of a tensor. */
export function tensorElements(shape: ScanShape, name: TensorName): number {
  return scanSize(shape, likeOf[name]);
}

/** The shape of a tensor with named axes, for messages. */
export function printTensor(shape: ScanShape, name: TensorName): string {
  return `${name} (${scanDimensions(shape, likeOf[name])
    .map(([axis, size]) => `${axis} ${size}`)
    .join(', ')})`;
}

/** Tensors that `storage: 'float16'` stores as float16: all with a time axis. */
export function halfTensors(shape: ScanShape, options: ScanPlanOptions): ReadonlySet<TensorName> {
  if (options.storage !== 'float16') return new Set();
  const timed: TensorName[] = ['u', 'delta', 'z', 'y', 'gradY', 'gradU', 'gradDelta', 'gradZ'];
  if (shape.variableB) timed.push('B', 'gradB');
  if (shape.variableC) timed.push('C', 'gradC');
  return new Set(timed);
}

/** Tensors of an operation, and whether it writes them. */
export function operationTensors(options: ScanPlanOptions): [name: TensorName, writable: boolean][] {
  const { operation, D, z, deltaBias, initialState, resets, lastState } = options;
  const list: ([TensorName, boolean] | false | undefined)[] = [
    ...(['u', 'delta', 'A', 'B', 'C'] as const).map((name): [TensorName, boolean] => [name, false]),
    D && ['D', false],
    z && ['z', false],
    deltaBias && ['deltaBias', false],
    resets && ['resets', false],
    initialState && ['initialState', false],
  ];
  if (operation === 'step') list.push(['state', true]);
  if (operation !== 'backward') {
    list.push(['y', true], lastState && ['lastState', true]);
  } else {
    list.push(['gradY', false], lastState && ['gradLastState', false]);
    list.push(...(['gradU', 'gradDelta', 'gradA', 'gradB', 'gradC'] as const).map((name): [TensorName, boolean] => [name, true]));
    list.push(D && ['gradD', true], z && ['gradZ', true], deltaBias && ['gradDeltaBias', true]);
    list.push(initialState && ['gradInitialState', true]);
  }
  return list.filter((entry) => entry !== false && entry !== undefined);
}

/** Largest binding of a device in bytes. */
export function largestBinding({ limits }: DeviceCapabilities): number {
  return Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
}

/** Sizes of all tensors of an operation; throws a ScanGpuError that names the first that the device can't bind. */
export function planTensors(shape: ScanShape, options: ScanPlanOptions, device: DeviceCapabilities): PlanTensor[] {
  const halves = halfTensors(shape, options);
  const largest = largestBinding(device);
  return operationTensors(options).map(([name, writable]) => {
    const half = halves.has(name);
    const bytes = Math.ceil((tensorElements(shape, name) * (half ? 2 : 4)) / 4) * 4;
    if (bytes > largest) {
      const text = `${printTensor(shape, name)} takes ${bytes} bytes, expected at most ${largest}, the largest binding of this device`;
      throw new ScanGpuError('limit', name, text);
    }
    return { name, writable, bytes, elementType: name === 'resets' ? 'int32' : half ? 'float16' : 'float32' };
  });
}
