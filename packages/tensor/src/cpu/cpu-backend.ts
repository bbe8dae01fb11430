import type { Backend, DeviceBuffer, Executable } from '../backend';
import type { Program, RoutineCall } from '../compile/program';
import { byteSize, type DType, type HostArray } from '../dtype';
import { DeviceError } from '../errors';
import type { HalfInputs } from '../graph/routines';
import { CpuBuffer } from './buffer';
import { CompiledProgram, type ProgramRunner } from './compiled-program';
import { aborted, control, heapStart } from './control';
import { faultError } from './fault';
import { Heap } from './heap';
import { type PoolProgram, ThreadPool } from './pool';
import type { CpuRoutine } from './routine';
import { readValues, writeValues } from './transfer';
import { printProgram } from './wasm/program';

/** The parts that a backend is put together from. */
export interface CpuParts {
  readonly memory: WebAssembly.Memory;
  readonly maximumPages: number;
  readonly shared: boolean;
  readonly relaxed: boolean;
  readonly maximumBytes: number;
  /** Null: thread 0 alone. */
  readonly pool: ThreadPool | null;
  readonly modules: { readonly kernels: WebAssembly.Module | null; readonly scan: WebAssembly.Module | null };
  readonly routines: Readonly<Partial<Record<string, CpuRoutine>>>;
  readonly parallelWork: number;
}

/** Counters since the backend was made. Tests hold them against what a compiled step may do: nothing but replays. */
export interface CpuCounters {
  programsCompiled: number;
  bytesAllocated: number;
  buffersAllocated: number;
  replays: number;
}

/** Compiled programs kept; the least recently used is evicted. */
const cacheSize = 256;

/**
 * The tensor core on WebAssembly SIMD: generated kernels, AssemblyScript routines, threads over one shared memory. Work
 * is done when a call returns.
 */
export class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly description: string;
  readonly fuses = true;
  /** Weights and embeddings; the scan reads float32. */
  readonly halfInputs: HalfInputs = { matmul: [1], gather: [0] };
  readonly threads: number;
  readonly counters: CpuCounters = { programsCompiled: 0, bytesAllocated: 0, buffersAllocated: 0, replays: 0 };
  private readonly heap: Heap;
  private readonly runner: ProgramRunner;
  private readonly imports: WebAssembly.Imports;
  private readonly faultRecord: () => Int32Array;
  private readonly programs = new Map<string, CompiledProgram>();
  private nextProgram = 1;
  private disposed = false;

  constructor(private readonly parts: CpuParts) {
    const { memory, pool, modules } = parts;
    this.threads = pool?.threads ?? 1;
    const unit = this.threads === 1 ? 'thread' : 'threads';
    this.description = `WASM SIMD${parts.relaxed ? ' (relaxed)' : ''}, ${this.threads} ${unit}`;
    this.heap = new Heap(memory, parts.maximumBytes);
    const instance = (module: WebAssembly.Module | null): WebAssembly.ModuleImports =>
      module ? (new WebAssembly.Instance(module, { env: { memory } }).exports as WebAssembly.ModuleImports) : {};
    const stalled = pool?.stalled ?? ((): number => 0);
    this.imports = { host: { memory, stalled }, kernels: instance(modules.kernels), scan: instance(modules.scan) };
    this.faultRecord = () => new Int32Array(memory.buffer, control.fault, 4);
    this.runner = {
      threads: this.threads,
      memory: () => memory.buffer,
      allocate: (bytes) => this.reserve(bytes),
      free: (address) => this.heap.free(address),
      own: (buffer, bytes, what) => this.own(buffer, bytes, what),
      execute: (code, table) => this.execute(code, table),
      touch: (program) => this.touch(program),
    };
  }

  /** Bytes of the heap in use, with bindings, scratch and module bytes. */
  get bytesInUse(): number {
    return this.heap.bytesInUse;
  }

  allocate(bytes: number): DeviceBuffer {
    if (!(bytes > 0)) throw new DeviceError(`cpu: allocate: bytes is ${bytes}, expected a positive number`);
    this.counters.buffersAllocated++;
    return new CpuBuffer(this, this.reserve(bytes), bytes);
  }

  private reserve(bytes: number): number {
    this.checkUsable();
    const address = this.heap.allocate(bytes);
    this.counters.bytesAllocated += bytes;
    return address;
  }

  free(buffer: DeviceBuffer): void {
    const own = this.own(buffer, 0, 'free: the buffer');
    own.freed = true;
    this.heap.free(own.address);
  }

  write(buffer: DeviceBuffer, dtype: DType, values: HostArray): void {
    const { address } = this.own(buffer, values.length * byteSize(dtype), 'write: the buffer');
    writeValues(this.parts.memory.buffer, address, dtype, values);
  }

  readSync(buffer: DeviceBuffer, dtype: DType, count: number): HostArray {
    const { address } = this.own(buffer, count * byteSize(dtype), 'read: the buffer');
    return readValues(this.parts.memory.buffer, address, dtype, count);
  }

  async read(buffer: DeviceBuffer, dtype: DType, count: number): Promise<HostArray> {
    return this.readSync(buffer, dtype, count);
  }

  copy(source: DeviceBuffer, target: DeviceBuffer, bytes: number): void {
    const from = this.own(source, bytes, 'copy: the source');
    const to = this.own(target, bytes, 'copy: the target');
    new Uint8Array(this.parts.memory.buffer).copyWithin(to.address, from.address, from.address + bytes);
  }

  refuses(call: RoutineCall): string | null {
    const routine = this.parts.routines[call.name];
    if (!routine) return `the cpu backend has no routine ${call.name}`;
    return routine.refuses?.(call) ?? null;
  }

  scanCheckpoints(call: RoutineCall): number {
    return this.parts.routines[call.name]?.checkpoints?.(call) ?? 0;
  }

  scratchBytes(call: RoutineCall): number {
    return this.routine(call).scratchBytes(call);
  }

  private routine(call: RoutineCall): CpuRoutine {
    const refused = this.refuses(call);
    if (refused !== null) throw new DeviceError(`cpu: ${call.name}: ${refused}`);
    return this.parts.routines[call.name] as CpuRoutine;
  }

  prepare(program: Program): Executable {
    this.checkUsable();
    const known = this.programs.get(program.key);
    if (known) {
      this.touch(known);
      return known;
    }
    const { shared, relaxed, maximumPages, parallelWork } = this.parts;
    const printed = printProgram(program, {
      shared,
      relaxed,
      maximumPages,
      parallelWork,
      routine: (step) => this.routine(step.call),
    });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(printed.bytes), this.imports);
    this.counters.programsCompiled++;
    const compiled = new CompiledProgram(
      this.runner,
      program,
      printed,
      this.nextProgram++,
      instance.exports.run as PoolProgram['enter'],
    );
    this.touch(compiled);
    return compiled;
  }

  private touch(program: CompiledProgram): void {
    const { key } = program.program;
    this.programs.delete(key);
    this.programs.set(key, program);
    if (this.programs.size <= cacheSize) return;
    const [oldest, evicted] = this.programs.entries().next().value as [string, CompiledProgram];
    this.programs.delete(oldest);
    evicted.evict();
  }

  private execute(code: PoolProgram, table: number): void {
    if (this.disposed) this.checkUsable();
    this.counters.replays++;
    const { pool } = this.parts;
    let status: number;
    try {
      status = pool ? pool.execute(code, table) : code.enter(table, 0, 1);
    } catch (error) {
      pool?.abandon();
      throw error instanceof DeviceError
        ? error
        : new DeviceError(`cpu: a program failed: ${String(error)}`, { cause: error });
    }
    if (status !== 0) this.raise(status);
  }

  private raise(status: number): never {
    if (status === aborted) {
      this.parts.pool?.abandon();
      this.parts.pool?.check();
    }
    const record = this.faultRecord();
    const [kind, value, position, limit] = record;
    record.fill(0);
    throw faultError(kind, value, position, limit);
  }

  private own(buffer: DeviceBuffer, bytes: number, what: string): CpuBuffer {
    if (this.disposed) this.checkUsable();
    if (!(buffer instanceof CpuBuffer) || buffer.owner !== this)
      throw new DeviceError(`cpu: ${what} belongs to another device`);
    if (buffer.freed) throw new DeviceError(`cpu: ${what} was freed`);
    if (buffer.bytes < bytes)
      throw new DeviceError(`cpu: ${what} has ${buffer.bytes} bytes, expected at least ${bytes}`);
    return buffer;
  }

  private checkUsable(): void {
    if (this.disposed) throw new DeviceError('cpu: the device was disposed');
  }

  async synchronize(): Promise<void> {
    this.checkUsable();
  }

  dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.programs.clear();
    this.parts.pool?.dispose();
  }
}

/**
 * Memory that starts with the reserved page and may grow to `maximumBytes`, or to less where the host does not allow so
 * much.
 */
export function createMemory(
  shared: boolean,
  maximumBytes: number,
): { memory: WebAssembly.Memory; maximumPages: number } {
  const page = 65536;
  let maximum = Math.max(2, Math.min(65536, Math.floor(maximumBytes / page)));
  for (;;) {
    try {
      return { memory: new WebAssembly.Memory({ initial: heapStart / page, maximum, shared }), maximumPages: maximum };
    } catch (error) {
      if (maximum <= 1024) throw new DeviceError(`cpu: no memory: ${String(error)}`, { cause: error });
      maximum = Math.floor(maximum / 2);
    }
  }
}
