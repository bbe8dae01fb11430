import type { KernelStep, Program, RoutineStep } from '../../compile/program';
import type { Kernel } from '../../compile/kernel';
import { control } from '../control';
import type { CpuRoutine } from '../routine';
import { routineWork } from '../routine-work';
import type { I32 } from './expression';
import { addConst, callExpr, FunctionBuilder } from './function';
import { printNest } from './kernel';
import { ModuleBuilder } from './module';
import { type KernelPlan, planKernel } from './nest';
import { i32 } from './operators';
import { printBarrier } from './sync';

export interface PrintOptions {
  /** The memory is shared between threads: barriers are real. */
  readonly shared: boolean;
  /** Relaxed SIMD may be used. */
  readonly relaxed: boolean;
  /** Declared maximum of the memory, in pages. */
  readonly maximumPages: number;
  /** A kernel or routine phase with less work than this (about machine instructions) runs on thread 0 alone. */
  readonly parallelWork: number;
  readonly routine: (step: RoutineStep) => CpuRoutine;
}

/**
 * A program as one WebAssembly module: imports `host.memory`, `host.stalled` and the routines, exports `run(table, tid,
 * threads)`, which gives 0, the kind of a fault, or `aborted`. `table` is the address of a binding: i32 words, in order
 * the addresses of the program's externals, the arena, the scratch, and the parameter struct of each routine step.
 */
export interface PrintedProgram {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Word of the arena's address in the table; the scratch's is the next one. */
  readonly arenaWord: number;
  /** Words of routine parameter addresses, in the order of `routines`. */
  readonly firstRoutineWord: number;
  readonly routines: readonly { readonly step: RoutineStep; readonly routine: CpuRoutine }[];
  readonly tableWords: number;
  /** Memory for the partial results of sliced reductions. */
  readonly scratchBytes: number;
  /** False: thread 0 does everything, the other threads need not wake up. */
  readonly parallel: boolean;
  /** Per step: what it became. */
  readonly descriptions: readonly string[];
}

/** One call between two barriers. */
interface Phase {
  readonly serial: boolean;
  readonly mayFault: boolean;
  readonly functionIndex: number;
  readonly args: readonly I32[];
}

export function printProgram(program: Program, options: PrintOptions): PrintedProgram {
  return new ProgramPrinter(program, options).print();
}

class ProgramPrinter {
  private readonly module = new ModuleBuilder();
  private readonly run = new FunctionBuilder(['i32', 'i32', 'i32'], ['i32']);
  private readonly table = this.run.parameter(0, 'i32');
  private readonly tid = this.run.parameter(1, 'i32');
  private readonly threads = this.run.parameter(2, 'i32');
  private readonly externalWord = new Map<number, number>();
  private readonly arenaWord: number;
  private arena: I32 = i32.const(0);
  private scratchBytes = 0;
  private readonly kernels = new Map<string, { plan: KernelPlan; functions: number[] }>();
  private readonly imports = new Map<string, number>();
  private readonly routines: { step: RoutineStep; routine: CpuRoutine }[] = [];
  private readonly descriptions: string[] = [];

  constructor(
    private readonly program: Program,
    private readonly options: PrintOptions,
  ) {
    program.externals.forEach((slot, i) => this.externalWord.set(slot, i));
    this.arenaWord = program.externals.length;
  }

  print(): PrintedProgram {
    const { module, program, options, run } = this;
    module.importMemory('host', 'memory', 1, options.maximumPages, options.shared);
    const stalled = module.importFunction('host', 'stalled', { parameters: [], results: ['i32'] });
    for (const step of program.steps) if (step.kind === 'routine') this.importRoutine(step);
    const barrier = module.add(printBarrier(options.shared, stalled));
    if (program.arenaBytes > 0) this.arena = run.let(i32.load(this.table, this.arenaWord * 4));
    const phases = program.steps.flatMap((step) =>
      step.kind === 'kernel' ? this.kernelPhases(step) : this.routinePhases(step),
    );
    this.emitPhases(phases, barrier);
    module.export('run', module.add(run));
    return {
      bytes: module.finish(),
      arenaWord: this.arenaWord,
      firstRoutineWord: this.arenaWord + 2,
      routines: this.routines,
      tableWords: this.arenaWord + 2 + this.routines.length,
      scratchBytes: this.scratchBytes,
      parallel: phases.some((p) => !p.serial),
      descriptions: this.descriptions,
    };
  }

  /** Calls in order; a barrier wherever another thread may read what was written. */
  private emitPhases(phases: readonly Phase[], barrier: number): void {
    const { run, tid, threads } = this;
    const faultKind = i32.load(i32.const(control.fault));
    for (let i = 0; i < phases.length;) {
      const phase = phases[i];
      if (phase.serial) {
        let end = i;
        while (end < phases.length && phases[end].serial) end++;
        run.if(i32.eqz(tid), () =>
          run.block((out) => {
            for (const { functionIndex, args, mayFault } of phases.slice(i, end)) {
              run.call(functionIndex, [...args, i32.const(0), i32.const(1)]);
              if (mayFault) run.breakIf(faultKind, out);
            }
          }),
        );
        i = end;
        if (end === phases.length) break;
      } else {
        run.call(phase.functionIndex, [...phase.args, tid, threads]);
        i++;
      }
      const status = run.let(callExpr('i32', barrier, [tid, threads]));
      run.if(status, () => run.return(status));
    }
    const endsSerial = phases.length > 0 && phases[phases.length - 1].serial;
    run.return(endsSerial ? i32.select(tid, i32.const(0), faultKind) : i32.const(0));
    run.unreachable();
  }

  private kernelPhases(step: KernelStep): Phase[] {
    const buffers = step.buffers.length;
    const key = `${buffers} ${kernelKey(step.kernel)}`;
    let printed = this.kernels.get(key);
    if (!printed) {
      const plan = planKernel(step.kernel, buffers);
      const parameters = buffers + (plan.partialBytes > 0 ? 1 : 0);
      const functions = plan.nests.map((nest) => this.module.add(printNest(nest, parameters, this.options.relaxed)));
      this.kernels.set(key, (printed = { plan, functions }));
    }
    const { plan, functions } = printed;
    this.scratchBytes = Math.max(this.scratchBytes, plan.partialBytes);
    const args: I32[] = step.buffers.map((slot) => this.address(slot));
    if (plan.partialBytes > 0) args.push(i32.load(this.table, (this.arenaWord + 1) * 4));
    const phases = functions.map((functionIndex, i): Phase => ({
      serial: plan.nests[i].cost < this.options.parallelWork || plan.nests[i].units === 1,
      mayFault: false,
      functionIndex,
      args,
    }));
    this.descriptions.push(describeKernel(plan, phases));
    return phases;
  }

  private importRoutine(step: RoutineStep): void {
    const routine = this.options.routine(step);
    for (const { module, name } of routine.phases(step.call)) {
      const key = `${module}.${name}`;
      if (this.imports.has(key)) continue;
      this.imports.set(
        key,
        this.module.importFunction(module, name, { parameters: ['i32', 'i32', 'i32'], results: [] }),
      );
    }
  }

  private routinePhases(step: RoutineStep): Phase[] {
    const routine = this.options.routine(step);
    const word = this.arenaWord + 2 + this.routines.length;
    this.routines.push({ step, routine });
    const params = i32.load(this.table, word * 4);
    const small = routineWork(step.call) < this.options.parallelWork;
    const phases = routine.phases(step.call);
    const names = phases.map((p) => p.name).join(' + ');
    this.descriptions.push(`wasm ${names}${this.options.relaxed ? ' relaxed' : ''}${small ? ', 1 thread' : ''}`);
    return phases.map(({ module, name, serial }) => ({
      serial: serial === true || small,
      mayFault: true,
      functionIndex: this.imports.get(`${module}.${name}`) as number,
      args: [params],
    }));
  }

  /** Address of a slot, from the table or the arena. */
  private address(slot: number): I32 {
    const { kind, offset } = this.program.slots[slot];
    if (kind === 'arena') return addConst(this.arena, offset | 0);
    return i32.load(this.table, (this.externalWord.get(slot) as number) * 4);
  }
}

function describeKernel({ nests }: KernelPlan, phases: readonly Phase[]): string {
  const [{ mode, unroll }] = nests;
  const slices = nests.length > 1 ? `, ${nests[0].kernel.domain[0]} slices` : '';
  return `wasm kernel (${mode}), 4 lanes x ${unroll}${slices}${phases.every((p) => p.serial) ? ', 1 thread' : ''}`;
}

/** Equal for kernels that get the same code. JSON would lose the non-finite constants and the sign of zero. */
function kernelKey(kernel: Kernel): string {
  return JSON.stringify(kernel, (_, v: unknown) =>
    typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0)) ? `number ${Object.is(v, -0) ? '-0' : v}` : v,
  );
}
