import type { RoutineCall } from '../../compile/program';
import type { Shape } from '../../shape';
import type { CpuRoutine } from '../routine';
import { cacheLines, maxWorkers, writeFields } from './parameter-struct';

interface Plan {
  readonly batch: number;
  readonly length: number;
  readonly channels: number;
  /** Taps that can matter, at most `length`. */
  readonly taps: number;
  readonly allTaps: number;
  /** Complex elements of a transform, or 0: term by term. */
  readonly n: number;
  readonly workspace: number;
  readonly workers: number;
}

/** Term by term, through transforms, or whichever is the shorter way for the shape. */
export type Way = 'terms' | 'transforms' | 'shorter';

/** Memory that all workspaces together should not pass; two threads get theirs in any case. */
const workspaceLimit = 64 * 2 ** 20;

function plan(shape: Shape, allTaps: number, gradKernel: boolean, way: Way): Plan {
  const [batch, length, channels] = shape;
  const taps = Math.min(allTaps, length);
  const transform = Math.max(4, 2 ** Math.ceil(Math.log2(Math.max(1, length + taps - 1) / 2)));
  const short =
    length === 0 || (way === 'shorter' ? !transformsAreShorter(batch, length, taps, transform) : way === 'terms');
  const n = short ? 0 : transform;
  // Vectors in a workspace: see assembly/long-conv/direct.ts (tiles of 8 outputs) and transformed.ts.
  const up = (x: number, to: number): number => Math.ceil(x / to) * to;
  let rows = n * (gradKernel ? 6 : 4);
  if (n === 0) rows = gradKernel ? up(length, 2) + 8 + length + 8 + up(taps, 8) : up(taps, 2) + 8 + 2 * up(length, 8);
  const workspace = cacheLines(rows * 16);
  const quads = Math.ceil(channels / 4);
  const workers = Math.max(
    1,
    Math.min(maxWorkers, gradKernel ? quads : quads * batch, Math.max(2, Math.floor(workspaceLimit / workspace))),
  );
  return { batch, length, channels, taps, allTaps, n, workspace, workers };
}

/** Measured: four channels of an element in one of log4(n) passes take as long as six multiply-adds of vectors. */
function transformsAreShorter(batch: number, length: number, taps: number, n: number): boolean {
  const terms = batch * (length * taps - (taps * (taps - 1)) / 2);
  const passes = Math.log2(n) / 2;
  return terms > 6 * (2 * batch + 1) * n * passes;
}

function fields(p: Plan, pointers: readonly number[], scratch: number, backwards: boolean): number[] {
  const twiddles = scratch + p.workers * p.workspace;
  return [
    ...pointers,
    p.batch,
    p.length,
    p.channels,
    p.taps,
    backwards ? 1 : 0,
    scratch,
    p.workspace,
    p.workers,
    p.n,
    twiddles,
    p.allTaps,
  ];
}

function routine(planOf: (call: RoutineCall) => Plan, kernelGradient: boolean, backwards: boolean): CpuRoutine {
  const suffix = kernelGradient ? 'Kernel' : '';
  return {
    phases: (call) =>
      planOf(call).n === 0
        ? [{ module: 'kernels', name: `longConvDirect${suffix}` }]
        : [
            { module: 'kernels', name: 'longConvTwiddles' },
            { module: 'kernels', name: `longConvTransformed${suffix}` },
          ],
    scratchBytes(call) {
      const p = planOf(call);
      return p.workers * p.workspace + p.n * 4;
    },
    paramBytes: () => 64,
    writeParams(view, at, call, pointers) {
      writeFields(
        view,
        at,
        fields(planOf(call), [...pointers.inputs, ...pointers.outputs], pointers.scratch, backwards),
      );
    },
  };
}

function shapeOf(call: RoutineCall, input: number): Shape {
  return (call.inputs[input] as { shape: Shape }).shape;
}

/** The three routines going one way; the tests go each. */
export function longConvBy(way: Way): Record<'longConv' | 'longConvGradInput' | 'longConvGradKernel', CpuRoutine> {
  const convolutionPlan = (call: RoutineCall): Plan => plan(shapeOf(call, 0), shapeOf(call, 1)[0], false, way);
  const kernelPlan = (call: RoutineCall): Plan => plan(shapeOf(call, 0), call.outputs[0].shape[0], true, way);
  return {
    longConv: routine(convolutionPlan, false, false),
    // The same with time running backwards.
    longConvGradInput: routine(convolutionPlan, false, true),
    longConvGradKernel: routine(kernelPlan, true, false),
  };
}

const shorter = longConvBy('shorter');
export const longConv: CpuRoutine = shorter.longConv;
export const longConvGradInput: CpuRoutine = shorter.longConvGradInput;
export const longConvGradKernel: CpuRoutine = shorter.longConvGradKernel;
