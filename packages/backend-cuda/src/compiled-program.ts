import type { CudaContext, CudaEvent, CudaStream } from '@mamba-ts/scan-cuda/driver';
import { KernelArguments } from '@mamba-ts/scan-cuda/driver';
import { DeviceError, type DeviceBuffer, type Executable, type Kernel, type Program, type Recording, type StepDescription } from '@mamba-ts/tensor';
import type { CudaBuffer } from './cuda-buffer';
import type { Faults } from './faults';
import type { KernelCache, LoadedKernel } from './kernel-cache';
import { planLaunches } from './plan-launches';
import type { PreparedRoutine, RoutinePointers } from './routine';
import type { Group } from './together';

/** The backend as programs see it. */
export interface ProgramHost {
  readonly context: CudaContext;
  readonly stream: CudaStream;
  readonly kernels: KernelCache;
  readonly faults: Faults;
  /** Addresses that kernels ask for by name. */
  readonly extra: { readonly fault: bigint; readonly partials: bigint; readonly counters: bigint };
  routine(step: RoutineStep): PreparedRoutine;
  allocate(bytes: number): CudaBuffer;
  free(buffer: DeviceBuffer): void;
  /** The buffer, if it is a live one of this backend with at least `bytes` bytes. @throws DeviceError */
  own(buffer: DeviceBuffer, bytes: number, what: string): CudaBuffer;
}

type Step = Program['steps'][number];
type RoutineStep = Extract<Step, { kind: 'routine' }>;
type KernelStep = Extract<Step, { kind: 'kernel' }>;

/** Something to launch once the addresses of all slots are known. */
interface Launch {
  launch(addresses: readonly bigint[]): void;
  readonly code: string;
}

/** A program whose kernels are loaded. Runs step by step on the backend's stream, or as a graph that was captured once. */
export class CompiledProgram implements Executable {
  /** What is launched, in order: most often one step each. */
  private readonly groups: readonly Group[];
  private readonly launches: readonly Launch[];
  /** Slots that a routine must not write itself, because a fault has to leave them alone: written next to it and copied. */
  private readonly shadowed = new Map<number, number>();
  private readonly raises: boolean;

  constructor(
    private readonly host: ProgramHost,
    private readonly program: Program,
  ) {
    const { groups, kernels, raises, unwritten } = planLaunches(program, (wanted) => host.kernels.print(wanted), host.context);
    this.groups = groups;
    this.raises = raises;
    const outlives = (slot: number): boolean => raises && program.slots[slot].outlives === true;
    const loaded = host.kernels.load(kernels.filter((kernel) => kernel !== null));
    let next = 0;
    this.launches = this.groups.map((group) => {
      const [first] = group.map((at) => program.steps[at]);
      if (first.kind === 'kernel') return new KernelCode(host, loaded[next++], group.flatMap((at) => (program.steps[at] as KernelStep).buffers));
      const routine = host.routine(first);
      const copies = routine.guarded ? [] : first.outputs.filter(outlives);
      return new RoutineCode(host, routine, first, unwritten[group[0]], copies.map((slot) => ({ ...this.shadow(slot), bytes: program.slots[slot].bytes })));
    });
  }

  private shadow(slot: number): { slot: number; copy: number } {
    const copy = this.program.slots.length + this.shadowed.size;
    this.shadowed.set(slot, copy);
    return { slot, copy };
  }

  run(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): void {
    const shadows = this.allocateShadows();
    const { addresses } = this.bind(externals, arena, shadows);
    this.separate();
    for (const launch of this.launches) launch.launch(addresses);
    for (const buffer of shadows) this.host.free(buffer);
    if (!this.raises) return;
    // Whoever runs a program by itself goes on with its values at once: better to stop here, as the CPU does.
    this.host.stream.synchronize();
    this.host.faults.check();
  }

  record(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Recording {
    const { host, launches } = this;
    const shadows = this.allocateShadows();
    const { addresses, buffers } = this.bind(externals, arena, shadows);
    const graph = host.stream.capture(() => {
      for (const launch of launches) launch.launch(addresses);
    });
    let disposed = false;
    return {
      replay() {
        if (disposed) throw new DeviceError('cuda: a recording was replayed after it was disposed');
        for (let i = 0; i < buffers.length; i++) if (buffers[i].freed) throw new DeviceError(`cuda: buffer ${i} of a recording was freed`);
        host.faults.check();
        graph.launch(host.stream);
      },
      dispose() {
        if (disposed) return;
        disposed = true;
        // A graph that is running must not be destroyed.
        host.stream.synchronize();
        graph.destroy();
        for (const buffer of shadows) host.free(buffer);
      },
    };
  }

  describe(): readonly StepDescription[] {
    const code = this.program.steps.map(() => '');
    this.groups.forEach((group, i) => {
      for (const at of group) code[at] = at === group[0] ? this.launches[i].code : `with step ${group[0]}`;
    });
    return code.map((text) => ({ code: text }));
  }

  /** Runs once as `run`, with an event between launches; gives nanoseconds per step, those of a shared launch at its first. */
  async profile(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Promise<readonly number[]> {
    const { context, stream, faults } = this.host;
    const shadows = this.allocateShadows();
    const { addresses } = this.bind(externals, arena, shadows);
    const events: CudaEvent[] = Array.from({ length: this.launches.length + 1 }, () => context.createEvent());
    this.separate();
    events[0].record(stream);
    this.launches.forEach((launch, i) => {
      launch.launch(addresses);
      events[i + 1].record(stream);
    });
    stream.synchronize();
    const times = this.program.steps.map(() => 0);
    this.groups.forEach(([first], i) => {
      times[first] = events[i + 1].since(events[i]) * 1e6;
    });
    for (const event of events) event.destroy();
    for (const buffer of shadows) this.host.free(buffer);
    faults.check();
    return times;
  }

  /** Loads that do not wait for earlier kernels must not meet those of another program: something that is no kernel stands in between. */
  private separate(): void {
    this.host.stream.fillWords(this.host.extra.partials, 0, 1);
  }

  private allocateShadows(): CudaBuffer[] {
    return [...this.shadowed.keys()].map((slot) => this.host.allocate(Math.max(4, this.program.slots[slot].bytes)));
  }

  /** Addresses of all slots, and of the shadows behind them. */
  private bind(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null, shadows: readonly CudaBuffer[]): { addresses: bigint[]; buffers: CudaBuffer[] } {
    const { program, host } = this;
    if (externals.length !== program.externals.length) {
      throw new DeviceError(`cuda: a program got ${externals.length} buffers, expected ${program.externals.length}`);
    }
    if (program.arenaBytes > 0 && arena === null) throw new DeviceError(`cuda: a program needs an arena of ${program.arenaBytes} bytes and got none`);
    const buffers = externals.map((buffer, i) => host.own(buffer, program.slots[program.externals[i]].bytes, `buffer ${i}`));
    const base = program.arenaBytes > 0 ? host.own(arena as DeviceBuffer, program.arenaBytes, 'the arena') : null;
    // Empty arrays have no address: routines take that for "not wanted".
    const addresses = program.slots.map((slot) => (slot.kind === 'arena' && base && slot.bytes > 0 ? base.pointer + BigInt(slot.offset) : 0n));
    program.externals.forEach((slot, i) => {
      if (program.slots[slot].bytes > 0) addresses[slot] = buffers[i].pointer;
    });
    return { addresses: [...addresses, ...shadows.map((s) => s.pointer)], buffers: base ? [...buffers, base] : buffers };
  }
}

/** A kernel of the printer with the slots of its parameters. */
class KernelCode implements Launch {
  private readonly args: KernelArguments;
  private readonly values: BigUint64Array;

  constructor(
    private readonly host: ProgramHost,
    private readonly kernel: LoadedKernel,
    private readonly slots: readonly number[],
  ) {
    const { extra } = kernel.printed;
    const count = slots.length + extra.length;
    // Several sets of buffers are one parameter, a list; the others follow.
    const sets = kernel.printed.grid[2] > 1;
    const parameters = Array.from({ length: count }, (_, i) => 8 * i).filter((_, i) => !sets || i === 0 || i >= slots.length);
    this.args = new KernelArguments(host.context.driver, 8 * count, parameters);
    this.values = new BigUint64Array(this.args.bytes);
    extra.forEach((name, i) => {
      this.values[slots.length + i] = host.extra[name];
    });
  }

  get code(): string {
    return this.kernel.printed.description;
  }

  launch(addresses: readonly bigint[]): void {
    const { slots, values, args, kernel } = this;
    for (let i = 0; i < slots.length; i++) values[i] = addresses[slots[i]];
    kernel.run.launch(this.host.stream, kernel.printed.grid, [kernel.printed.threads], 0, args);
  }
}

/** A routine, and the guarded copies of those of its outputs that it could not write in place. */
class RoutineCode implements Launch {
  private readonly copies: readonly KernelCode[];
  private readonly outputs: readonly number[];

  constructor(
    private readonly host: ProgramHost,
    private readonly routine: PreparedRoutine,
    private readonly step: RoutineStep,
    private readonly unwritten: readonly boolean[],
    shadows: readonly { readonly slot: number; readonly copy: number; readonly bytes: number }[],
  ) {
    this.outputs = step.outputs.map((slot) => shadows.find((s) => s.slot === slot)?.copy ?? slot);
    this.copies = shadows.map(
      ({ slot, copy, bytes }) => new KernelCode(host, host.kernels.load([{ kernel: copyKernel(Math.ceil(bytes / 4)), guarded: true }])[0], [copy, slot]),
    );
  }

  get code(): string {
    return this.routine.describe() + (this.copies.length > 0 ? ', then copied unless there was a fault' : '');
  }

  launch(addresses: readonly bigint[]): void {
    const { step } = this;
    const pointers: RoutinePointers = {
      inputs: step.inputs.map((slot) => (slot === null ? 0n : addresses[slot])),
      outputs: this.outputs.map((slot) => addresses[slot]),
      scratch: step.scratch === null ? 0n : addresses[step.scratch],
      unwritten: this.unwritten,
      ...(step.epilogue && { epilogue: step.epilogue.buffers.map((slot) => (slot === null ? 0n : addresses[slot])) }),
    };
    this.routine.launch(this.host.stream, pointers);
    for (const copy of this.copies) copy.launch(addresses);
  }
}

function copyKernel(words: number): Kernel {
  const access = (buffer: number): Kernel['loads'][number] => ({ buffer, dtype: 'int32', offset: 0, strides: [1], guards: [] });
  return {
    domain: [words], outerDims: 1, reduces: [], epilogue: [],
    loads: [access(0)],
    body: [{ op: 'load', load: 0, dtype: 'int32' }],
    stores: [{ access: access(1), value: 0, phase: 'body' }],
  };
}
