import type { CudaContext, CudaFunction, CudaModule, CudaStream, DevicePointer } from '@mamba-ts/scan-cuda/driver';
import { type Backend, byteSize, DeviceError, type DeviceBuffer, type DType, type HostArray, type Kernel, type Program, type RoutineCall, type RoutineName } from '@mamba-ts/tensor';
import { Allocator } from './allocator';
import { CompiledProgram, type ProgramHost } from './compiled-program';
import { CudaBuffer } from './cuda-buffer';
import { Faults } from './faults';
import { KernelCache } from './kernel-cache';
import { splitScratch } from './printer/geometry';
import type { CudaRoutine, RoutineHost } from './routine';
import { unpack } from './routine-images';
import { type Download, Downloads, Uploads } from './transfer';

type Routines = Partial<Record<RoutineName, CudaRoutine>>;

/** Programs that stay prepared when nobody holds them. */
const cachedPrograms = 256;

/** The tensor core on one CUDA device: one context, one stream, everything in order. */
export class CudaBackend implements Backend {
  readonly name = 'cuda';
  readonly description: string;
  readonly fuses = true;
  readonly convolvesWithSilu = true;
  readonly replacesColumns = true;
  readonly arenaAlignment = 256;
  readonly halfInputs: NonNullable<Backend['halfInputs']>;
  readonly viewInputs: NonNullable<Backend['viewInputs']>;
  private readonly stream: CudaStream;
  private readonly allocator: Allocator;
  private readonly uploads: Uploads;
  private readonly downloads: Downloads;
  private readonly host: ProgramHost;
  private readonly routineHost: RoutineHost;
  private readonly modules = new Map<string, CudaModule>();
  private readonly loaded: CudaModule[] = [];
  private readonly resources = new Map<string, { close?(): void }>();
  private readonly programs = new Map<string, CompiledProgram>();
  private readonly faults: Faults;
  private readonly scratch: DevicePointer;
  private readonly live = new Set<CudaBuffer>();
  private disposed = false;

  private constructor(
    readonly context: CudaContext,
    private readonly routines: Routines,
    memoryLimit: number,
  ) {
    const [major, minor] = context.computeCapability;
    this.description = `${context.name}, compute capability ${major}.${minor}, CUDA ${Math.floor(context.driverVersion / 1000)}.${(context.driverVersion % 1000) / 10}`;
    this.viewInputs = Object.fromEntries(Object.entries(routines).flatMap(([name, r]) => (r.viewInputs ? [[name, r.viewInputs]] : [])));
    this.halfInputs = Object.fromEntries(Object.entries(routines).flatMap(([name, r]) => (r.halfInputs ? [[name, r.halfInputs]] : [])));
    this.stream = context.createStream();
    this.allocator = new Allocator(context, memoryLimit);
    this.uploads = new Uploads(context, this.stream);
    this.downloads = new Downloads(context, this.stream);
    this.faults = new Faults(context, this.stream);
    const counters = 4 * splitScratch.counters;
    this.scratch = context.allocate(counters + 4 * splitScratch.words);
    this.stream.fillBytes(this.scratch, 0, counters);
    const kernels = new KernelCache(context);
    this.resources.set('kernels', kernels);
    this.routineHost = {
      context,
      fault: this.faults.record,
      kernel: (ptx, name): CudaFunction => {
        let module = this.modules.get(ptx);
        if (!module) this.modules.set(ptx, (module = context.loadModule(unpack(ptx))));
        return module.function(name);
      },
      load: (image) => {
        const module = context.loadModule(image);
        this.loaded.push(module);
        return module;
      },
      shared: <T extends { close?(): void }>(key: string, make: () => T): T => {
        let resource = this.resources.get(key);
        if (!resource) this.resources.set(key, (resource = make()));
        return resource as T;
      },
    };
    this.host = {
      context, kernels,
      stream: this.stream,
      faults: this.faults,
      extra: { fault: this.faults.record, counters: this.scratch, partials: this.scratch + BigInt(counters) },
      routine: (step) => this.routine(step.call).prepare(step.call, this.routineHost, step.epilogue?.kernel),
      allocate: (bytes) => this.allocate(bytes),
      free: (buffer) => this.free(buffer),
      own: (buffer, bytes, what) => this.own(buffer, bytes, what),
    };
  }

  /** Opens the routines too: what they look for (libraries, kernels of other packages) is found or not from now on. */
  static async open(context: CudaContext, routines: Routines, memoryLimit: number): Promise<CudaBackend> {
    const backend = new CudaBackend(context, routines, memoryLimit);
    for (const routine of Object.values(routines)) await routine.open?.(backend.routineHost);
    return backend;
  }

  allocate(bytes: number): CudaBuffer {
    this.checkUsable();
    if (!(bytes > 0)) throw new DeviceError(`cuda: allocate: bytes is ${bytes}, expected a positive number`);
    const { pointer, blockBytes } = this.allocator.allocate(bytes);
    const buffer = new CudaBuffer(this, pointer, bytes, blockBytes);
    this.live.add(buffer);
    return buffer;
  }

  free(buffer: DeviceBuffer): void {
    const own = this.own(buffer, 0, 'free: the buffer');
    own.freed = true;
    this.live.delete(own);
    this.allocator.free(own.pointer, own.blockBytes);
  }

  write(buffer: DeviceBuffer, dtype: DType, values: HostArray): void {
    this.uploads.write(this.own(buffer, values.length * byteSize(dtype), 'write: the buffer').pointer, dtype, values);
  }

  readSync(buffer: DeviceBuffer, dtype: DType, count: number): HostArray {
    const download = this.startRead(buffer, dtype, count);
    download.done.synchronize();
    return this.finishRead(download, dtype, count);
  }

  async read(buffer: DeviceBuffer, dtype: DType, count: number): Promise<HostArray> {
    const download = this.startRead(buffer, dtype, count);
    await until(() => download.done.happened());
    return this.finishRead(download, dtype, count);
  }

  private startRead(buffer: DeviceBuffer, dtype: DType, count: number): Download {
    const bytes = count * byteSize(dtype);
    return this.downloads.start(this.own(buffer, bytes, 'read: the buffer').pointer, bytes);
  }

  private finishRead(download: Download, dtype: DType, count: number): HostArray {
    if (this.disposed) throw new DeviceError('cuda: the device was disposed during a read');
    const values = this.downloads.finish(download, dtype, count);
    this.faults.check();
    return values;
  }

  copy(source: DeviceBuffer, target: DeviceBuffer, bytes: number): void {
    const from = this.own(source, bytes, 'copy: the source');
    const to = this.own(target, bytes, 'copy: the target');
    if (bytes > 0) this.stream.copy(to.pointer, from.pointer, bytes);
  }

  refuses(call: RoutineCall): string | null {
    const routine = this.routines[call.name];
    if (!routine) return `the cuda backend has no routine ${call.name}`;
    return routine.refuses?.(call, this.context) ?? null;
  }

  /** One row: a sum of products reads the matrix at the rate of memory, and takes norm and residual along (results/h200-kernels.txt). */
  lowersMatmul({ outputs: [{ shape: [batch, rows] }] }: RoutineCall): boolean {
    return batch * rows === 1;
  }

  roundsInput(call: RoutineCall, position: number): boolean {
    return this.routines[call.name]?.rounds?.(call, position, this.context) ?? false;
  }

  scratchBytes(call: RoutineCall): number {
    return this.routine(call).scratchBytes(call, this.context);
  }

  scanCheckpoints(call: RoutineCall): number {
    return this.routines[call.name]?.checkpoints?.(call, this.context) ?? 0;
  }

  arenaFits(bytes: number): boolean {
    return this.allocator.fits(bytes);
  }

  absorbsEpilogue(call: RoutineCall, kernel: Kernel): boolean {
    return this.routine(call).absorbs?.(call, kernel, this.context) ?? false;
  }

  private routine(call: RoutineCall): CudaRoutine {
    const refused = this.refuses(call);
    if (refused !== null) throw new DeviceError(`cuda: ${call.name}: ${refused}`);
    return this.routines[call.name] as CudaRoutine;
  }

  prepare(program: Program): CompiledProgram {
    this.checkUsable();
    let compiled = this.programs.get(program.key);
    if (compiled) this.programs.delete(program.key);
    else compiled = new CompiledProgram(this.host, program);
    this.programs.set(program.key, compiled);
    if (this.programs.size > cachedPrograms) this.programs.delete(this.programs.keys().next().value as string);
    return compiled;
  }

  private own(buffer: DeviceBuffer, bytes: number, what: string): CudaBuffer {
    if (this.disposed) this.checkUsable();
    if (!(buffer instanceof CudaBuffer) || buffer.owner !== this) throw new DeviceError(`cuda: ${what} belongs to another device`);
    if (buffer.freed) throw new DeviceError(`cuda: ${what} was freed`);
    if (buffer.bytes < bytes) throw new DeviceError(`cuda: ${what} has ${buffer.bytes} bytes, expected at least ${bytes}`);
    return buffer;
  }

  private checkUsable(): void {
    if (this.disposed) throw new DeviceError('cuda: the device was disposed');
  }

  async synchronize(): Promise<void> {
    this.checkUsable();
    await until(() => this.stream.done());
    this.faults.check();
  }

  dispose(): void {
    if (this.disposed) return;
    this.stream.synchronize();
    this.disposed = true;
    this.programs.clear();
    for (const buffer of this.live) this.allocator.free(buffer.pointer, buffer.blockBytes);
    this.live.clear();
    this.allocator.trim();
    for (const resource of this.resources.values()) resource.close?.();
    for (const module of [...this.modules.values(), ...this.loaded]) module.unload();
    this.uploads.close();
    this.downloads.close();
    this.faults.close();
    this.context.free(this.scratch);
    this.stream.destroy();
    this.context.close();
  }
}

/** Waits without blocking the event loop. Device work is short: look again in the loop's next turn. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
