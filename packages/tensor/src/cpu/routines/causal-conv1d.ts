import type { RoutineCall } from '../../compile/program';
import type { Shape } from '../../shape';
import type { CpuRoutine } from '../routine';
import { cacheLines, maxWorkers, writeFields } from './parameter-struct';

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  readonly width: number;
}

function sizes(x: Shape, weight: Shape): Sizes {
  return { batch: x[0], length: x[1], channels: x[2], width: weight[1] };
}

function shapeOf(call: RoutineCall, input: number): Shape {
  return (call.inputs[input] as { shape: Shape }).shape;
}

/** Bytes of one thread's transposed weights. */
function workspaceBytes({ channels, width }: Sizes): number {
  return cacheLines(Math.ceil(channels / 4) * 16 * width);
}

export const causalConv1d: CpuRoutine = {
  phases: () => [{ module: 'kernels', name: 'causalConv1d' }],
  scratchBytes: (call) => maxWorkers * workspaceBytes(sizes(shapeOf(call, 0), shapeOf(call, 1))),
  paramBytes: () => 64,
  writeParams(view, at, call, pointers) {
    const s = sizes(shapeOf(call, 0), shapeOf(call, 1));
    writeFields(view, at, [
      ...pointers.inputs,
      pointers.outputs[0],
      s.batch,
      s.length,
      s.channels,
      s.width,
      pointers.scratch,
      workspaceBytes(s),
      maxWorkers,
    ]);
  },
};

/**
 * Pieces that the sums over all rows are cut into: enough for threads and for accuracy, few enough to add up quickly.
 */
function slices({ batch, length }: Sizes): number {
  return Math.max(1, Math.min(64, Math.floor((batch * length) / 64)));
}

function partialBytes(s: Sizes): number {
  return slices(s) * (s.width + 1) * Math.ceil(s.channels / 4) * 16;
}

export const causalConv1dBackward: CpuRoutine = {
  phases: () => [
    { module: 'kernels', name: 'causalConv1dBackward' },
    { module: 'kernels', name: 'causalConv1dReduce' },
  ],
  scratchBytes(call) {
    const s = sizes(shapeOf(call, 1), shapeOf(call, 2));
    return maxWorkers * workspaceBytes(s) + partialBytes(s);
  },
  paramBytes: () => 128,
  writeParams(view, at, call, pointers) {
    const s = sizes(shapeOf(call, 1), shapeOf(call, 2));
    const { scratch } = pointers;
    writeFields(view, at, [
      ...pointers.inputs,
      ...pointers.outputs,
      s.batch,
      s.length,
      s.channels,
      s.width,
      scratch,
      workspaceBytes(s),
      maxWorkers,
      scratch + maxWorkers * workspaceBytes(s),
      slices(s),
    ]);
  },
};
