import type { CudaContext } from '@mamba-ts/scan-cuda/driver';
import {
  type Backend, byteSize, Device, type DeviceBuffer, type DType, type Executable, type HostArray, type Kernel, type Program, reference, type RoutineCall,
} from '@mamba-ts/tensor';
import type { WantedKernel } from '../src/kernel-cache';
import { splitScratch } from '../src/printer/geometry';
import { type PrintedKernel, printKernel } from '../src/printer/kernel';
import { planLaunches } from '../src/plan-launches';
import { cudaRoutines } from '../src/routines/index';
import { readElement, writeElement } from './elements';
import { PtxMachine } from './ptx-machine';

type Step = Program['steps'][number];
type KernelStep = Extract<Step, { kind: 'kernel' }>;
type RoutineStep = Extract<Step, { kind: 'routine' }>;

/** Bytes of memory of the simulated card. */
const memoryBytes = 2 ** 28;
const alignment = 256;

class SimulatedBuffer implements DeviceBuffer {
  constructor(
    readonly address: number,
    readonly bytes: number,
  ) {}
}

/**
 * The CUDA backend without a card: the same programs, launches in the same groups and order, printed kernels in the PTX machine, over one memory that the
 * arena shares as on the card; routines by the float64 reference. Slow: for programs of some thousand elements.
 */
export class SimulatedBackend implements Backend {
  readonly name = 'cuda';
  readonly description: string;
  readonly fuses = true;
  readonly convolvesWithSilu = true;
  readonly replacesColumns = true;
  readonly arenaAlignment: number = alignment;
  readonly halfInputs: NonNullable<Backend['halfInputs']> = Object.fromEntries(Object.entries(cudaRoutines).flatMap(([name, r]) => (r.halfInputs ? [[name, r.halfInputs]] : [])));
  readonly viewInputs: NonNullable<Backend['viewInputs']> = Object.fromEntries(Object.entries(cudaRoutines).flatMap(([name, r]) => (r.viewInputs ? [[name, r.viewInputs]] : [])));
  /** What routines look at when they choose. */
  private readonly context = { multiprocessors: 132, computeCapability: [9, 0], sharedMemoryPerBlock: 232448 } as unknown as CudaContext;
  private readonly memory = new DataView(new ArrayBuffer(memoryBytes));
  private readonly machines = new Map<string, PtxMachine>();
  private readonly printed = new Map<string, PrintedKernel>();
  private readonly unused = new Map<number, number[]>();
  private readonly extra: Readonly<Record<PrintedKernel['extra'][number], number>>;
  private end = alignment;

  private constructor(private readonly oracle: Device) {
    this.description = 'CUDA kernels in a PTX machine';
    this.extra = { fault: this.reserve(32), counters: this.reserve(4 * splitScratch.counters), partials: this.reserve(4 * splitScratch.words) };
  }

  static async open(): Promise<Device> {
    return new Device(new SimulatedBackend(await reference()));
  }

  private reserve(bytes: number): number {
    const at = this.end;
    this.end += Math.ceil(bytes / alignment) * alignment;
    if (this.end > memoryBytes) throw new Error(`the simulated card has ${memoryBytes} bytes of memory`);
    return at;
  }

  allocate(bytes: number): SimulatedBuffer {
    const size = Math.ceil(bytes / alignment) * alignment;
    const at = this.unused.get(size)?.pop() ?? this.reserve(size);
    // Contents are undefined: NaN shows where something reads them.
    for (let i = 0; i < size; i += 4) this.memory.setUint32(at + i, 0x7fc00000, true);
    return new SimulatedBuffer(at, bytes);
  }

  free(buffer: SimulatedBuffer): void {
    const size = Math.ceil(buffer.bytes / alignment) * alignment;
    this.unused.set(size, [...(this.unused.get(size) ?? []), buffer.address]);
  }

  write(buffer: SimulatedBuffer, dtype: DType, values: HostArray): void {
    for (let i = 0; i < values.length; i++) writeElement(this.memory, buffer.address, dtype, i, Number(values[i]));
  }

  readSync(buffer: SimulatedBuffer, dtype: DType, count: number): HostArray {
    return this.values(buffer.address, dtype, count);
  }

  async read(buffer: SimulatedBuffer, dtype: DType, count: number): Promise<HostArray> {
    return this.readSync(buffer, dtype, count);
  }

  private values(address: number, dtype: DType, count: number): HostArray {
    const array = dtype === 'bool' ? new Uint8Array(count) : dtype === 'int32' ? new Int32Array(count) : new Float32Array(count);
    for (let i = 0; i < count; i++) array[i] = readElement(this.memory, address, dtype, i);
    return array;
  }

  copy(source: SimulatedBuffer, target: SimulatedBuffer, bytes: number): void {
    new Uint8Array(this.memory.buffer).copyWithin(target.address, source.address, source.address + bytes);
  }

  refuses(): null {
    return null;
  }

  roundsInput(call: RoutineCall, position: number): boolean {
    return cudaRoutines[call.name].rounds?.(call, position, this.context) ?? false;
  }

  scratchBytes(): number {
    return 0;
  }

  scanCheckpoints(call: RoutineCall): number {
    return cudaRoutines.selectiveScan.checkpoints?.(call, this.context) ?? 0;
  }

  lowersMatmul({ outputs: [{ shape: [batch, rows] }] }: RoutineCall): boolean {
    return batch * rows === 1;
  }

  absorbsEpilogue(call: RoutineCall, kernel: Kernel): boolean {
    return cudaRoutines[call.name].absorbs?.(call, kernel, this.context) ?? false;
  }

  prepare(program: Program): Executable {
    const print = ({ kernel, guarded, early, sets, follower }: WantedKernel): PrintedKernel => {
      const key = JSON.stringify([kernel, guarded, early, sets, follower]);
      let found = this.printed.get(key);
      if (!found) this.printed.set(key, (found = printKernel(kernel, { multiprocessors: 132, guarded, early, sets, ...(follower && { follower }) })));
      return found;
    };
    const { groups, kernels } = planLaunches(program, print, this.context);
    const run = (externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): void => {
      const base = (arena as SimulatedBuffer | null)?.address ?? 0;
      const addresses = program.slots.map((slot) => base + slot.offset);
      program.externals.forEach((slot, i) => {
        addresses[slot] = (externals[i] as SimulatedBuffer).address;
      });
      for (const [i, group] of groups.entries()) {
        const [first] = group.map((at) => program.steps[at]);
        if (first.kind === 'routine') {
          this.runRoutine(program, first, addresses);
          continue;
        }
        const printed = print(kernels[i] as WantedKernel);
        let machine = this.machines.get(printed.name);
        if (!machine) this.machines.set(printed.name, (machine = new PtxMachine(printed.text, this.memory)));
        const buffers = group.flatMap((at) => (program.steps[at] as KernelStep).buffers.map((slot) => addresses[slot]));
        machine.run({ ...printed, parameters: [...buffers, ...printed.extra.map((name) => this.extra[name])] });
      }
    };
    return {
      run,
      record: (externals, arena) => ({ replay: () => run(externals, arena), dispose: () => undefined }),
      describe: () => program.steps.map(() => ({ code: 'PTX machine' })),
    };
  }

  /** The step alone, as a program of the reference: values go there and back. */
  private runRoutine(program: Program, step: RoutineStep, addresses: readonly number[]): void {
    const { call, epilogue } = step;
    const types = new Map<number, DType>();
    step.inputs.forEach((slot, i) => slot !== null && types.set(slot, call.inputs[i]!.view?.stored ?? call.inputs[i]!.dtype));
    step.outputs.forEach((slot, i) => !types.has(slot) && types.set(slot, call.outputs[i].dtype));
    for (const access of epilogue ? [...epilogue.kernel.loads, ...epilogue.kernel.stores.map((s) => s.access)] : []) {
      const slot = epilogue!.buffers[access.buffer];
      if (slot !== null) types.set(slot, access.dtype);
    }
    const slots = [...types.keys()];
    const number = (slot: number): number => slots.indexOf(slot);
    const alone: Program = {
      key: '', arenaBytes: 0,
      slots: slots.map((slot) => ({ kind: 'external', bytes: program.slots[slot].bytes, offset: 0 })),
      externals: slots.map((_, i) => i),
      steps: [
        {
          ...step,
          inputs: step.inputs.map((slot) => (slot === null ? null : number(slot))),
          outputs: step.outputs.map(number),
          scratch: null,
          ...(epilogue && { epilogue: { ...epilogue, buffers: epilogue.buffers.map((slot) => (slot === null ? null : number(slot))) } }),
        },
      ],
    };
    const { backend } = this.oracle;
    const buffers = slots.map((slot) => {
      const dtype = types.get(slot) as DType;
      const count = program.slots[slot].bytes / byteSize(dtype);
      const buffer = backend.allocate(Math.max(4, program.slots[slot].bytes));
      backend.write(buffer, dtype, this.values(addresses[slot], dtype, count));
      return buffer;
    });
    backend.prepare(alone).run(buffers, null);
    slots.forEach((slot, i) => {
      const dtype = types.get(slot) as DType;
      const values = backend.readSync!(buffers[i], dtype, program.slots[slot].bytes / byteSize(dtype));
      for (let k = 0; k < values.length; k++) writeElement(this.memory, addresses[slot], dtype, k, Number(values[k]));
      backend.free(buffers[i]);
    });
  }

  async synchronize(): Promise<void> {}

  dispose(): void {
    this.oracle.dispose();
  }
}
