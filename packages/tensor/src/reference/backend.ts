import type { Backend, DeviceBuffer, Executable } from '../backend';
import type { Kernel } from '../compile/kernel';
import type { Program, RoutineStep, TensorSpec, View } from '../compile/program';
import { Device } from '../device';
import { byteSize, type DType, type HostArray, isFloat } from '../dtype';
import { DeviceError } from '../errors';
import { type HalfInputs, halfInputPositions, type ViewInputs, viewInputPositions } from '../graph/routines';
import { sizeOf } from '../shape';
import type { RefArray } from './array';
import { interpretKernel, type RefMemory } from './interpreter';
import { referenceRoutines } from './routines';
import { roundTo } from './scalar-functions';

/** Values of one buffer. The type is settled by the first write: floats in float64, integers and bools in int32. */
class RefBuffer implements DeviceBuffer {
  floats: Float64Array | null = null;
  integers: Int32Array | null = null;
  freed = false;

  constructor(readonly bytes: number) {}

  /** The first `count` elements as the kind of array that `dtype` needs. */
  values(dtype: DType, count: number): RefMemory {
    if (this.freed) throw new DeviceError('reference: a buffer was used after it was freed');
    if (isFloat(dtype)) {
      if (!this.floats || this.floats.length < count) this.floats = grown(this.floats, new Float64Array(Math.max(count, Math.floor(this.bytes / byteSize(dtype)))));
      return this.floats;
    }
    if (!this.integers || this.integers.length < count) this.integers = grown(this.integers, new Int32Array(Math.max(count, Math.floor(this.bytes / 4))));
    return this.integers;
  }
}

function grown<T extends RefMemory>(old: T | null, fresh: T): T {
  if (old) fresh.set(old as never);
  return fresh;
}

/** Temporaries get a buffer each: sharing of arena bytes, a scheduler's decision, must not be able to hide a mistake here. */
export class ReferenceBackend implements Backend {
  readonly name = 'reference';
  readonly description: string;
  /** Storage types are a matter of rounding on write: every routine reads any. */
  readonly halfInputs: HalfInputs = halfInputPositions;

  /** @param fuses true interprets fused kernels: how the scheduler is tested without a printer */
  constructor(readonly fuses: boolean = false) {
    this.description = fuses ? 'float64 interpreter of fused kernels' : 'float64 interpreter, one step per graph node';
  }

  allocate(bytes: number): DeviceBuffer {
    return new RefBuffer(bytes);
  }

  free(buffer: DeviceBuffer): void {
    const b = buffer as RefBuffer;
    b.freed = true;
    b.floats = null;
    b.integers = null;
  }

  write(buffer: DeviceBuffer, dtype: DType, values: HostArray): void {
    const target = (buffer as RefBuffer).values(dtype, values.length);
    for (let i = 0; i < values.length; i++) target[i] = roundTo(dtype, values[i]);
  }

  readSync(buffer: DeviceBuffer, dtype: DType, count: number): HostArray {
    const values = (buffer as RefBuffer).values(dtype, count).slice(0, count);
    return dtype === 'bool' ? Uint8Array.from(values) : values;
  }

  async read(buffer: DeviceBuffer, dtype: DType, count: number): Promise<HostArray> {
    return this.readSync(buffer, dtype, count);
  }

  copy(source: DeviceBuffer, target: DeviceBuffer): void {
    const from = source as RefBuffer;
    const to = target as RefBuffer;
    to.floats = from.floats?.slice() ?? null;
    to.integers = from.integers?.slice() ?? null;
  }

  readonly convolvesWithSilu = true;

  refuses(): string | null {
    return null;
  }

  /** Fused kernels are absorbed too, so that the scheduler's decision is tested with no device involved. */
  get absorbsEpilogue(): (() => boolean) | undefined {
    return this.fuses ? () => true : undefined;
  }

  /** As for epilogues. */
  get viewInputs(): ViewInputs | undefined {
    return this.fuses ? viewInputPositions : undefined;
  }

  /** As for epilogues. */
  get roundsInput(): (() => boolean) | undefined {
    return this.fuses ? () => true : undefined;
  }

  scratchBytes(): number {
    return 0;
  }

  prepare(program: Program): Executable {
    const run = (externals: readonly DeviceBuffer[]): void => {
      const buffers = program.slots.map((slot) => (slot.kind === 'arena' ? new RefBuffer(slot.bytes) : null));
      program.externals.forEach((slot, i) => {
        buffers[slot] = externals[i] as RefBuffer;
      });
      for (const step of program.steps) {
        if (step.kind === 'routine') {
          runRoutine(step, buffers as RefBuffer[]);
          continue;
        }
        runKernel(step.kernel, step.buffers.map((slot) => buffers[slot] as RefBuffer));
      }
    };
    return {
      run,
      record: (externals) => ({ replay: () => run(externals), dispose: () => undefined }),
      describe: () => program.steps.map(() => ({ code: 'float64 interpreter' })),
    };
  }

  async synchronize(): Promise<void> {}

  dispose(): void {}
}

function runKernel(kernel: Kernel, buffers: readonly RefBuffer[]): void {
  const dtypes: DType[] = [];
  for (const access of [...kernel.loads, ...kernel.stores.map((s) => s.access)]) dtypes[access.buffer] = access.dtype;
  const memory = buffers.map((buffer, i) => buffer.values(dtypes[i], buffer.bytes / byteSize(dtypes[i])));
  interpretKernel(kernel, memory, dtypes);
}

/** The rows of a view, side by side. */
function gathered(spec: TensorSpec, { offset, pitch, stored }: View, leading: number, buffer: RefBuffer): RefArray {
  const rows = sizeOf(spec.shape.slice(0, leading));
  const width = sizeOf(spec.shape.slice(leading));
  const all = buffer.values(stored ?? spec.dtype, offset + (rows - 1) * pitch + width);
  const data = isFloat(spec.dtype) ? new Float64Array(rows * width) : new Int32Array(rows * width);
  for (let row = 0; row < rows; row++) data.set(all.subarray(offset + row * pitch, offset + row * pitch + width), row * width);
  if (stored) for (let i = 0; i < data.length; i++) data[i] = roundTo(spec.dtype, data[i]);
  return { shape: spec.shape, dtype: spec.dtype, data };
}

function runRoutine(step: RoutineStep, buffers: readonly RefBuffer[]): void {
  const view = (slot: number, spec: TensorSpec): RefArray => {
    const count = sizeOf(spec.shape);
    return { shape: spec.shape, dtype: spec.dtype, data: buffers[slot].values(spec.dtype, count).subarray(0, count) as Float64Array | Int32Array };
  };
  const inputs = step.inputs.map((slot, i) => {
    const spec = step.call.inputs[i];
    if (slot === null || !spec) return null;
    return spec.view ? gathered(spec, spec.view, viewInputPositions[step.call.name]?.[i] ?? 0, buffers[slot]) : view(slot, spec);
  });
  // Fresh outputs, copied afterwards: an output may be the memory of an input.
  const outputs = step.call.outputs.map((spec): RefArray => {
    const count = sizeOf(spec.shape);
    return { shape: spec.shape, dtype: spec.dtype, data: isFloat(spec.dtype) ? new Float64Array(count) : new Int32Array(count) };
  });
  referenceRoutines[step.call.name](inputs, outputs, step.call.attributes);
  const { epilogue } = step;
  if (epilogue) {
    const result = new RefBuffer(outputs[0].data.length * byteSize(outputs[0].dtype));
    result.values(outputs[0].dtype, outputs[0].data.length).set(outputs[0].data);
    runKernel(epilogue.kernel, epilogue.buffers.map((slot) => (slot === null ? result : buffers[slot])));
  }
  outputs.forEach((out, i) => {
    if (i === 0 && epilogue) return;
    view(step.outputs[i], step.call.outputs[i]).data.set(out.data);
  });
}

/** The oracle: float64, node by node, plain TypeScript. Slow, and right. */
export function reference(): Promise<Device> {
  return Promise.resolve(new Device(new ReferenceBackend()));
}
