import type { Program, RoutineStep, Slot } from '../../src/compile/program';
import type { Kernel } from '../../src/compile/kernel';
import { assembleCpuBackend, type CpuOptions } from '../../src/cpu/assemble';
import type { CpuBackend } from '../../src/cpu/cpu-backend';
import type { CpuRoutine } from '../../src/cpu/routine';
import { FunctionBuilder } from '../../src/cpu/wasm/function';
import { ModuleBuilder } from '../../src/cpu/wasm/module';
import { i32 } from '../../src/cpu/wasm/operators';
import type { RoutineName } from '../../src/graph/routines';

/**
 * A stand-in for the AssemblyScript modules: `mark` writes 100 threads + tid to output[tid]; `fault` reads an int from
 * its input and reports it as a fault if it is not 0; `trap` fails in thread 1; `hang` never ends in thread 1.
 */
function fakeModule(shared: boolean): WebAssembly.Module {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', 1, 65536, shared);
  const routine = (name: string, body: (fn: FunctionBuilder) => void): void => {
    const fn = new FunctionBuilder(['i32', 'i32', 'i32']);
    body(fn);
    module.export(name, module.add(fn));
  };
  const parts = (
    fn: FunctionBuilder,
  ): {
    pointer: (i: number) => ReturnType<typeof i32.load>;
    tid: ReturnType<typeof i32.const>;
    threads: ReturnType<typeof i32.const>;
  } => ({
    pointer: (i) => i32.load(fn.parameter(0, 'i32'), 4 * i),
    tid: fn.parameter(1, 'i32'),
    threads: fn.parameter(2, 'i32'),
  });
  routine('mark', (fn) => {
    const { pointer, tid, threads } = parts(fn);
    fn.store32(i32.add(pointer(1), i32.shl(tid, i32.const(2))), i32.add(i32.mul(threads, i32.const(100)), tid));
  });
  routine('fault', (fn) => {
    const { pointer } = parts(fn);
    const value = fn.let(i32.load(pointer(0)));
    fn.if(value, () => {
      fn.store32(pointer(2), value, 4);
      fn.store32(pointer(2), i32.const(3), 8);
      fn.store32(pointer(2), i32.const(10), 12);
      fn.store32(pointer(2), i32.const(1));
    });
  });
  routine('trap', (fn) => {
    const { tid } = parts(fn);
    fn.if(i32.eq(tid, i32.const(1)), () => fn.unreachable());
  });
  routine('hang', (fn) => {
    const { tid } = parts(fn);
    fn.while(i32.eq(tid, i32.const(1)), () => {});
  });
  return new WebAssembly.Module(module.finish());
}

const routine = (...phases: ReturnType<CpuRoutine['phases']>): CpuRoutine => ({
  phases: () => phases,
  scratchBytes: () => 0,
  paramBytes: () => 12,
  writeParams(view, at, _, { inputs, outputs, fault }) {
    view.setUint32(at, inputs[0] ?? 0, true);
    view.setUint32(at + 4, outputs[0] ?? 0, true);
    view.setUint32(at + 8, fault, true);
  },
});

const routines: Partial<Record<RoutineName, CpuRoutine>> = {
  matmul: routine({ module: 'kernels', name: 'mark' }),
  cumsum: routine({ module: 'scan', name: 'mark', serial: true }),
  gather: routine({ module: 'kernels', name: 'fault' }),
  sort: routine({ module: 'kernels', name: 'trap' }),
  argmax: routine({ module: 'scan', name: 'hang' }),
  longConv: { ...routine({ module: 'scan', name: 'mark' }), refuses: () => 'too long' },
};

/** A backend whose routines are the fakes above. */
export function fakeBackend(options: CpuOptions, parallelWork: number): Promise<CpuBackend> {
  return assembleCpuBackend(options, {
    routines,
    parallelWork,
    modules: async ({ shared }) => ({ kernels: fakeModule(shared), scan: fakeModule(shared) }),
  });
}

export type FakeStep = Kernel | { readonly routine: RoutineName; readonly input: number; readonly output: number };

let programs = 0;

/** Steps over external buffers: kernels use buffer numbers directly. */
export function fakeProgram(steps: readonly FakeStep[], bytes: readonly number[]): Program {
  const call = (name: RoutineName): RoutineStep['call'] => ({
    name,
    attributes: {},
    inputs: [{ shape: [1000], dtype: 'int32' }],
    outputs: [{ shape: [1000], dtype: 'int32' }],
  });
  return {
    key: `fake ${programs++}`,
    slots: bytes.map((b): Slot => ({ kind: 'external', bytes: b, offset: 0 })),
    arenaBytes: 0,
    externals: bytes.map((_, i) => i),
    steps: steps.map((step) =>
      'routine' in step
        ? { kind: 'routine', call: call(step.routine), inputs: [step.input], outputs: [step.output], scratch: null }
        : { kind: 'kernel', kernel: step, buffers: bytes.map((_, i) => i), label: [] },
    ),
  };
}
