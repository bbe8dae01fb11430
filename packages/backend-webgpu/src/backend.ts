import {
  type Backend, byteSize, DeviceError, DeviceLostError, type DeviceBuffer, type DType, type Executable, type HalfInputs, type HostArray, type Kernel, type Program, readValues,
  type RoutineCall, type ViewInputs, writeValues,
} from '@mamba-ts/tensor';
import { WebGpuScan } from '@mamba-ts/scan-webgpu';
import { BufferPool, bufferUsage, WebGpuBuffer } from './buffer';
import { WebGpuExecutable } from './executable';
import { faultBytes, FaultRecord } from './faults';
import { PipelineCache } from './pipelines';
import { type Capabilities, halfInputs, viewInputs, type WebGpuRoutine } from './routine';
import { webgpuRoutines } from './routines';
import type { Runtime } from './runtime';

/** Programs kept; the least recently used is dropped. */
const cacheSize = 256;

/** Map mode `READ`: the global does not exist in Node. */
const mapRead = 1;

/**
 * The tensor core on WebGPU. Work is submitted when a call returns and done when a read or `synchronize` resolves. There is no blocking read: a
 * browser can't have one.
 */
export class WebGpuBackend implements Backend, Runtime {
  readonly name = 'webgpu';
  readonly description: string;
  readonly fuses = true;
  /** Bindings start at multiples of this. */
  readonly arenaAlignment: number;
  readonly maxKernelBuffers: number;
  readonly halfInputs: HalfInputs = halfInputs;
  readonly viewInputs: ViewInputs = viewInputs;
  readonly pool: BufferPool;
  readonly pipelines: PipelineCache;
  readonly faults: FaultRecord;
  readonly capabilities: Capabilities;
  private readonly programs = new Map<string, WebGpuExecutable>();
  private readonly staging: GPUBuffer[] = [];
  private encoder: GPUCommandEncoder | null = null;
  private lost: DeviceLostError | null = null;
  private failure: string | null = null;
  private disposed = false;

  constructor(
    /** The device that everything runs on, for those who want to share buffers with it. */
    readonly gpu: GPUDevice,
    info: GPUAdapterInfo | undefined,
    private readonly owned: boolean,
  ) {
    const { limits, features } = gpu;
    this.arenaAlignment = Math.max(256, limits.minStorageBufferOffsetAlignment);
    // One is for the fault record.
    this.maxKernelBuffers = limits.maxStorageBuffersPerShaderStage - 1;
    this.capabilities = {
      maxBindingBytes: limits.maxStorageBufferBindingSize,
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      maxInvocations: limits.maxComputeInvocationsPerWorkgroup,
      maxBuffers: this.maxKernelBuffers,
      software: /swiftshader|llvmpipe|lavapipe/i.test(`${info?.architecture} ${info?.device} ${info?.description}`),
      subgroups: features.has('subgroups'),
      gpu,
      scan: new WebGpuScan(gpu),
    };
    const what = [info?.vendor, info?.architecture, info?.device, info?.description].filter((s) => s);
    this.description = `WebGPU, ${[...new Set(what)].join(' ') || 'unnamed adapter'}`;
    this.pool = new BufferPool(gpu, () => this.flush());
    this.pipelines = new PipelineCache(gpu);
    this.faults = new FaultRecord(gpu);
    gpu.addEventListener('uncapturederror', (event) => {
      this.failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
    void gpu.lost.then((loss) => {
      this.lost = new DeviceLostError(`webgpu: the device was lost${loss.message ? `: ${loss.message}` : ''}; its tensors are gone, open a new one`);
      return loss;
    });
  }

  allocate(bytes: number): DeviceBuffer {
    this.check();
    return this.pool.allocate(bytes);
  }

  free(buffer: DeviceBuffer): void {
    if (this.lost) return;
    this.pool.release(this.own(buffer, 0, 'free: the buffer'));
  }

  write(buffer: DeviceBuffer, dtype: DType, values: HostArray): void {
    const target = this.own(buffer, values.length * byteSize(dtype), 'write: the buffer');
    if (values.length === 0) return;
    const bytes = wholeWords(values.length * byteSize(dtype));
    const data = new ArrayBuffer(bytes);
    writeValues(data, 0, dtype, values);
    this.flush();
    this.gpu.queue.writeBuffer(target.gpu, 0, data);
  }

  async read(buffer: DeviceBuffer, dtype: DType, count: number): Promise<HostArray> {
    const source = this.own(buffer, count * byteSize(dtype), 'read: the buffer');
    const data = await this.download(source.gpu, wholeWords(count * byteSize(dtype)));
    return readValues(data, 0, dtype, count);
  }

  /** Bytes from the start of a buffer, after all work so far; rejects with the fault that this work raised. */
  private async download(source: GPUBuffer | null, bytes: number): Promise<ArrayBuffer> {
    const staging = this.stagingBuffer(faultBytes + bytes);
    const encoder = this.commands();
    encoder.copyBufferToBuffer(this.faults.buffer, 0, staging, 0, faultBytes);
    if (source && bytes > 0) encoder.copyBufferToBuffer(source, 0, staging, faultBytes, bytes);
    this.flush();
    try {
      await staging.mapAsync(mapRead, 0, faultBytes + bytes);
    } catch (error) {
      throw await this.explainFailure(error);
    }
    const copy = staging.getMappedRange(0, faultBytes + bytes).slice(0);
    staging.unmap();
    if (this.staging.length < 16) this.staging.push(staging);
    else staging.destroy();
    this.check();
    const fault = this.faults.take(copy);
    if (fault) throw fault;
    return copy.slice(faultBytes);
  }

  private stagingBuffer(bytes: number): GPUBuffer {
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, 4096)));
    const kept = this.staging.findIndex((b) => b.size === size);
    if (kept >= 0) return this.staging.splice(kept, 1)[0];
    const fitting = Math.min(size, Math.max(bytes, this.gpu.limits.maxBufferSize));
    return this.gpu.createBuffer({ size: fitting, usage: bufferUsage.mapRead | bufferUsage.copyTarget });
  }

  /** Why mapping a buffer failed: loss of the device is told a moment later than the promises fail. */
  private async explainFailure(error: unknown): Promise<DeviceError> {
    const moment = new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
    await Promise.race([this.gpu.lost, moment]);
    if (this.lost) return this.lost;
    return new DeviceError(`webgpu: a read failed: ${this.failure ?? String(error)}`, { cause: error });
  }

  copy(source: DeviceBuffer, target: DeviceBuffer, bytes: number): void {
    const from = this.own(source, bytes, 'copy: the source');
    const to = this.own(target, bytes, 'copy: the target');
    if (bytes > 0 && from !== to) this.commands().copyBufferToBuffer(from.gpu, 0, to.gpu, 0, wholeWords(bytes));
  }

  refuses(call: RoutineCall): string | null {
    const routine = webgpuRoutines[call.name];
    if (!routine) return `the webgpu backend has no routine ${call.name}`;
    for (const spec of [...call.inputs, ...call.outputs]) {
      const bytes = spec ? spec.shape.reduce((a, b) => a * b, byteSize(spec.dtype)) : 0;
      if (bytes > this.capabilities.maxBindingBytes) {
        return `a tensor of shape (${spec?.shape.join(', ')}) has ${bytes} bytes, more than one binding may have (maxStorageBufferBindingSize ${this.capabilities.maxBindingBytes})`;
      }
    }
    return routine.refuses?.(call, this.capabilities) ?? null;
  }

  absorbsEpilogue(call: RoutineCall, kernel: Kernel): boolean {
    return this.routine(call).absorbs?.(call, kernel, this.capabilities) ?? false;
  }

  scanCheckpoints(call: RoutineCall): number {
    return webgpuRoutines[call.name]?.checkpoints?.(call, this.capabilities) ?? 0;
  }

  arenaFits(bytes: number): boolean {
    return bytes <= this.gpu.limits.maxBufferSize;
  }

  scratchBytes(call: RoutineCall): number {
    return this.routine(call).scratchBytes?.(call, this.capabilities) ?? 0;
  }

  routine(call: RoutineCall): WebGpuRoutine {
    const refused = this.refuses(call);
    if (refused !== null) throw new DeviceError(`webgpu: ${call.name}: ${refused}`);
    return webgpuRoutines[call.name] as WebGpuRoutine;
  }

  prepare(program: Program): Executable {
    this.check();
    let executable = this.programs.get(program.key);
    if (executable) this.programs.delete(program.key);
    else executable = new WebGpuExecutable(this, program);
    this.programs.set(program.key, executable);
    if (this.programs.size > cacheSize) this.programs.delete(this.programs.keys().next().value as string);
    return executable;
  }

  commands(): GPUCommandEncoder {
    this.check();
    return (this.encoder ??= this.gpu.createCommandEncoder());
  }

  flush(): void {
    if (!this.encoder) return;
    const commands = this.encoder.finish();
    this.encoder = null;
    this.gpu.queue.submit([commands]);
  }

  own(buffer: DeviceBuffer, bytes: number, what: string): WebGpuBuffer {
    this.check();
    if (!(buffer instanceof WebGpuBuffer) || buffer.owner !== this.pool) throw new DeviceError(`webgpu: ${what} belongs to another device`);
    if (buffer.freed) throw new DeviceError(`webgpu: ${what} was freed`);
    if (buffer.bytes < bytes) throw new DeviceError(`webgpu: ${what} has ${buffer.bytes} bytes, expected at least ${bytes}`);
    return buffer;
  }

  check(): void {
    if (this.lost) throw this.lost;
    if (this.disposed) throw new DeviceError('webgpu: the device was disposed');
    if (this.failure !== null) throw new DeviceError(`webgpu: the device reported an error: ${this.failure}`);
  }

  async synchronize(): Promise<void> {
    this.check();
    await this.download(null, 0);
  }

  dispose(): void {
    if (this.disposed) return;
    if (!this.lost) this.flush();
    this.disposed = true;
    this.programs.clear();
    if (this.owned) this.gpu.destroy();
  }
}

function wholeWords(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
