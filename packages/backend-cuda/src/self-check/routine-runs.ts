import { CudaContext, type CudaFunction, type CudaModule, type CudaStream } from '@mamba-ts/scan-cuda/driver';
import {
  type Backend, type DeviceBuffer, type DType, fromBFloat16, fromFloat16, type HostArray, type Program, type RoutineCall, sizeOf, type TensorSpec, toBFloat16, toFloat16,
} from '@mamba-ts/tensor';
import type { CudaRoutine, PreparedRoutine, RoutineHost } from '../routine';
import { unpack } from '../routine-images';
import type { RoutineCase } from './routine-cases';

export const bytesOf = (spec: TensorSpec): number => sizeOf(spec.shape) * (spec.dtype === 'bfloat16' || spec.dtype === 'float16' ? 2 : 4);

/** Reproducible values of a case's inputs, rounded to their storage types. */
export function valuesOf({ call, ranges, special }: RoutineCase, seed: number): (HostArray | null)[] {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const odd = [Infinity, NaN, -Infinity];
  return call.inputs.map((spec, i) => {
    if (!spec) return null;
    const [low, high] = ranges[i] as readonly [number, number];
    const count = sizeOf(spec.shape);
    if (spec.dtype === 'int32') return Int32Array.from({ length: count }, () => Math.floor(low + (high - low) * next()));
    return Float32Array.from({ length: count }, (_, at) => {
      const value = rounded(low + (high - low) * next(), spec.dtype);
      return special && i === 0 && at % 100_003 === 1000 ? odd[Math.floor(at / 100_003) % 3] : value;
    });
  });
}

function rounded(x: number, dtype: DType): number {
  if (dtype === 'bfloat16') return fromBFloat16(toBFloat16(x));
  return dtype === 'float16' ? fromFloat16(toFloat16(x)) : Math.fround(x);
}

/** The outputs that a backend gives for one call. */
export async function runOn(backend: Backend, call: RoutineCall, inputs: readonly (HostArray | null)[]): Promise<HostArray[]> {
  const specs = [...call.inputs, ...call.outputs];
  const slots = specs.flatMap((spec) => (spec ? [{ kind: 'external' as const, bytes: Math.max(bytesOf(spec), 4), offset: 0 }] : []));
  let next = 0;
  const slotOf = specs.map((spec) => (spec ? next++ : null));
  const steps: Program['steps'] = [
    { kind: 'routine', call, inputs: slotOf.slice(0, call.inputs.length), outputs: slotOf.slice(call.inputs.length) as number[], scratch: null },
  ];
  const program: Program = { key: JSON.stringify([slots, steps]), slots, steps, arenaBytes: 0, externals: slots.map((_, i) => i) };
  const buffers: DeviceBuffer[] = slots.map(({ bytes }) => backend.allocate(bytes));
  inputs.forEach((values, i) => values && backend.write(buffers[slotOf[i] as number], (call.inputs[i] as TensorSpec).dtype, values));
  backend.prepare(program).run(buffers, null);
  const outputs: HostArray[] = [];
  for (const [i, spec] of call.outputs.entries()) {
    outputs.push(await backend.read(buffers[slotOf[call.inputs.length + i] as number], spec.dtype, sizeOf(spec.shape)));
  }
  for (const buffer of buffers) backend.free(buffer);
  return outputs;
}

/** Largest error relative to the largest finite value that is expected; another value that is not finite, or none, is infinitely wrong. */
export function relativeError(actual: HostArray, expected: HostArray): number {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(expected[i])) {
      if (!Object.is(actual[i], expected[i])) worst = Infinity;
      continue;
    }
    const error = Math.abs(actual[i] - expected[i]);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  return actual.length === expected.length ? worst / Math.max(largest, 1e-30) : Infinity;
}

const canary = 0x7fc0beef;
const margin = 256;

/** A call with memory of its own, surrounded by marked words. */
export interface BoundCall {
  readonly prepared: PreparedRoutine;
  launch(): void;
  read(output: number): HostArray;
  /** Complaints about marks that were written over. */
  broken(): string[];
  free(): void;
}

/** Routines by themselves, without the backend around them: for checks and measurements. */
export class RoutineRunner {
  readonly stream: CudaStream;
  private readonly modules = new Map<string, CudaModule>();
  private readonly kept = new Map<string, { close?(): void }>();
  readonly host: RoutineHost;

  private constructor(readonly context: CudaContext) {
    this.stream = context.createStream();
    const fault = context.allocate(64);
    context.upload(fault, new Uint8Array(64));
    this.host = {
      context,
      fault,
      kernel: (ptx: string, name: string): CudaFunction => {
        let module = this.modules.get(ptx);
        if (!module) this.modules.set(ptx, (module = context.loadModule(unpack(ptx))));
        return module.function(name);
      },
      load: (image) => context.loadModule(image),
      shared: <T extends { close?(): void }>(key: string, make: () => T): T => {
        if (!this.kept.has(key)) this.kept.set(key, make());
        return this.kept.get(key) as T;
      },
    };
  }

  static async open(): Promise<RoutineRunner> {
    return new RoutineRunner(await CudaContext.open());
  }

  /** Some random numbers over and over, in [-0.5, 0.5) or whole ones in [0, 256): for measurements on large arrays. */
  private fillRandom(at: bigint, spec: TensorSpec): void {
    const bytes = bytesOf(spec);
    const length = Math.min(65536, sizeOf(spec.shape));
    const chunk = spec.dtype === 'int32' ? Int32Array.from({ length }, () => Math.random() * 256) : stored(Float32Array.from({ length }, () => Math.random() - 0.5), spec.dtype);
    this.context.upload(at, chunk);
    for (let done = chunk.byteLength; done < bytes; done *= 2) this.stream.copy(at + BigInt(done), at, Math.min(done, bytes - done));
  }

  /**
   * Gives a call memory; inputs without values are filled with random numbers.
   *
   * @throws Error where the routine refuses the call
   */
  bind(routine: CudaRoutine, call: RoutineCall, inputs: readonly (HostArray | null)[]): BoundCall {
    const { context, stream } = this;
    const refusal = routine.refuses?.(call, context);
    if (refusal) throw new Error(refusal);
    const blocks: { base: bigint; bytes: number }[] = [];
    const take = (bytes: number): bigint => {
      const size = Math.ceil(bytes / 4) * 4;
      const base = context.allocate(size + 2 * margin);
      // Garbage where a kernel might read what nothing wrote.
      stream.fillWords(base, canary, (size + 2 * margin) / 4);
      blocks.push({ base, bytes: size });
      return base + BigInt(margin);
    };
    const addresses = call.inputs.map((spec, i) => {
      if (!spec || bytesOf(spec) === 0) return 0n;
      const at = take(bytesOf(spec));
      stream.synchronize();
      const values = inputs[i];
      if (values) context.upload(at, stored(values, spec.dtype));
      else this.fillRandom(at, spec);
      return at;
    });
    const outputs = call.outputs.map((spec) => (bytesOf(spec) === 0 ? 0n : take(bytesOf(spec))));
    // Small uploads may still be on their way, and this stream does not wait for the default one.
    context.synchronize();
    const scratchBytes = routine.scratchBytes(call, context);
    const scratch = scratchBytes > 0 ? take(scratchBytes) : 0n;
    const prepared = routine.prepare(call, this.host);
    return {
      prepared,
      // Nothing writes the inputs: kernels may read them early.
      launch: () => prepared.launch(stream, { inputs: addresses, outputs, scratch, unwritten: addresses.map(() => true) }),
      read: (output) => {
        const values = new Float32Array(sizeOf(call.outputs[output].shape));
        stream.synchronize();
        context.download(values, outputs[output]);
        return values;
      },
      broken: () => {
        stream.synchronize();
        return blocks.flatMap(({ base, bytes }, i) => {
          const marks = new Uint32Array((2 * margin) / 4);
          context.download(marks.subarray(0, margin / 4), base);
          context.download(marks.subarray(margin / 4), base + BigInt(margin + bytes));
          return marks.every((word) => word === canary) ? [] : [`wrote outside array ${i}`];
        });
      },
      free: () => {
        for (const { base } of blocks) context.free(base);
      },
    };
  }

  close(): void {
    for (const x of this.kept.values()) x.close?.();
    for (const module of this.modules.values()) module.unload();
    this.stream.destroy();
    this.context.close();
  }
}

/** Bytes of values as they are stored. */
export function stored(values: HostArray, dtype: DType): ArrayBufferView {
  if (dtype === 'bfloat16') return Uint16Array.from(values, toBFloat16);
  if (dtype === 'float16') return Uint16Array.from(values, toFloat16);
  return values;
}
