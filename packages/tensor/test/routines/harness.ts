import { scanModuleBytes } from '@mamba-ts/scan';
import type { RoutineCall, TensorSpec } from '../../src/compile/program';
import type { CpuRoutine } from '../../src/cpu/routine';
import { kernelsRelaxed } from '../../src/generated/kernels.relaxed';
import { kernelsSimd } from '../../src/generated/kernels.simd';
import type { RoutineName } from '../../src/graph/routines';
import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from '../../src/half';
import type { ReferenceRoutine, RefArray } from '../../src/reference/array';
import { sizeOf } from '../../src/shape';

type Kernel = (params: number, tid: number, threads: number) => void;
/** Uint16Array: bits of a half-precision tensor. */
export type Values = Float32Array | Int32Array | Uint16Array;

export interface CpuResult {
  readonly outputs: readonly Values[];
  /** kind, value, position, limit. */
  readonly fault: readonly number[];
}

export const variants = ['simd', 'relaxed'] as const;
export type Variant = (typeof variants)[number];

const pages = 4096;
const canary = 0x7fc0beef;

/**
 * The kernels on a memory of their own. Each call lays its buffers out from the start, with marked words between them.
 */
export class KernelMachine {
  private readonly memory = new WebAssembly.Memory({ initial: 64, maximum: pages, shared: true });
  private readonly modules: Record<string, WebAssembly.Exports> = {};

  /** `modules`: WebAssembly by the module names of CpuPhase. */
  constructor(modules: Readonly<Record<string, Uint8Array<ArrayBuffer>>>) {
    for (const [name, bytes] of Object.entries(modules)) {
      this.modules[name] = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
        env: { memory: this.memory },
      }).exports;
    }
  }

  /**
   * Runs all phases; the "threads" take their turns one after the other, in ascending or (`backwards`) descending
   * order. `inPlace`: outputs that are the memory of an input.
   */
  run(
    routine: CpuRoutine,
    call: RoutineCall,
    inputs: readonly (Values | null)[],
    threads = 1,
    backwards = false,
    inPlace: Readonly<Record<number, number>> = {},
  ): CpuResult {
    const refused = routine.refuses?.(call) ?? null;
    if (refused !== null) throw new Error(`refused: ${refused}`);
    const marks: number[] = [];
    let free = 65536;
    const take = (bytes: number): number => {
      const at = free + 64;
      const end = at + Math.ceil(bytes / 4) * 4;
      marks.push(free + 60, end);
      free = Math.ceil((end + 4) / 64) * 64;
      return at;
    };
    const fault = take(16);
    const inputsAt = inputs.map((x) => (x ? take(x.byteLength) : 0));
    const outputsAt = call.outputs.map((spec, i) =>
      i in inPlace ? inputsAt[inPlace[i]] : take(sizeOf(spec.shape) * 4),
    );
    const scratch = take(routine.scratchBytes(call));
    const paramBytes = routine.paramBytes(call);
    const params = take(paramBytes);
    const missing = Math.ceil((free - this.memory.buffer.byteLength) / 65536);
    if (missing > 0) this.memory.grow(missing);
    const words = new Uint32Array(this.memory.buffer);
    // Garbage everywhere a kernel might read what it didn't write.
    words.fill(0x7fa00000, 65536 >> 2, free >> 2);
    for (const at of marks) words[at >> 2] = canary;
    words.fill(0, fault >> 2, (fault >> 2) + 4);
    const bytes = new Uint8Array(this.memory.buffer);
    inputs.forEach((x, i) => x && bytes.set(bytesOf(x), inputsAt[i]));
    routine.writeParams(new DataView(this.memory.buffer), params, call, {
      inputs: inputsAt,
      outputs: outputsAt,
      scratch,
      fault,
    });
    for (const phase of routine.phases(call)) {
      const kernel = this.modules[phase.module][phase.name] as Kernel | undefined;
      if (!kernel) throw new Error(`no kernel ${phase.module}.${phase.name}`);
      if (phase.serial) {
        kernel(params, 0, threads);
        continue;
      }
      for (let i = 0; i < threads; i++) kernel(params, backwards ? threads - 1 - i : i, threads);
    }
    const broken = marks.find((at) => words[at >> 2] !== canary);
    if (broken !== undefined)
      throw new Error(`${call.name} wrote outside its buffers, near byte ${broken} (scratch at ${scratch})`);
    inputs.forEach((x, i) => {
      if (!x || Object.values(inPlace).includes(i)) return;
      const changed = bytesOf(x).findIndex((byte, at) => bytes[inputsAt[i] + at] !== byte);
      if (changed >= 0) throw new Error(`${call.name} wrote into its input ${i}, at ${changed}`);
    });
    const outputs = call.outputs.map((spec, i) => {
      const Type = spec.dtype === 'int32' ? Int32Array : Float32Array;
      return new Type(this.memory.buffer, outputsAt[i], sizeOf(spec.shape)).slice();
    });
    return { outputs, fault: [...new Int32Array(this.memory.buffer, fault, 4)] };
  }
}

const machines: Partial<Record<Variant, KernelMachine>> = {};

export function kernelMachine(variant: Variant): KernelMachine {
  const base64 = variant === 'simd' ? kernelsSimd : kernelsRelaxed;
  machines[variant] ??= new KernelMachine({
    kernels: Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)),
    scan: scanModuleBytes(variant, true),
  });
  return machines[variant];
}

export const f32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
export const i32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

export function routineCall(
  name: RoutineName,
  inputs: readonly (TensorSpec | null)[],
  outputs: readonly TensorSpec[],
  attributes: Record<string, number | boolean> = {},
): RoutineCall {
  return { name, inputs, outputs, attributes };
}

/** What the float64 reference gives for the same inputs. */
export function reference(
  routine: ReferenceRoutine,
  call: RoutineCall,
  inputs: readonly (Values | null)[],
): (Float64Array | Int32Array)[] {
  const array = ({ shape, dtype }: TensorSpec, data: Float64Array | Int32Array): RefArray => ({ shape, dtype, data });
  const wide = inputs.map((x, i) => {
    const spec = call.inputs[i];
    return x && spec ? array(spec, widened(spec, x)) : null;
  });
  const outputs = call.outputs.map((spec) =>
    array(spec, spec.dtype === 'int32' ? new Int32Array(sizeOf(spec.shape)) : new Float64Array(sizeOf(spec.shape))),
  );
  routine(wide, outputs, call.attributes);
  return outputs.map((x) => x.data);
}

function widened(spec: TensorSpec, x: Values): Float64Array | Int32Array {
  if (x instanceof Int32Array) return x;
  if (x instanceof Float32Array) return Float64Array.from(x);
  return Float64Array.from(x, spec.dtype === 'float16' ? fromFloat16 : fromBFloat16);
}

/** Reproducible numbers in [-1, 1). */
export class Noise {
  constructor(private state = 1) {}

  next(): number {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state / 2 ** 31 - 1;
  }

  integer(below: number): number {
    return Math.floor(((this.next() + 1) / 2) * below);
  }

  floats(count: number, scale = 1): Float32Array {
    return Float32Array.from({ length: count }, () => this.next() * scale);
  }

  /** Bits of half-precision numbers. */
  halves(count: number, dtype: 'bfloat16' | 'float16'): Uint16Array {
    return Uint16Array.from({ length: count }, () => (dtype === 'float16' ? toFloat16 : toBFloat16)(this.next()));
  }

  integers(count: number, below: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.integer(below));
  }
}

/** Largest |actual - expected|; NaN matches NaN, infinities match themselves. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const error = Math.abs(actual[i] - expected[i]);
    worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
  }
  return worst;
}

/** Bits, so that NaN and the sign of 0 count. */
function bits(values: Values): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4);
}

function bytesOf(values: Values): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

export interface CheckOptions {
  /** Largest absolute error per output. */
  readonly tolerance: number | readonly number[];
  readonly threads?: readonly number[];
}

/**
 * Runs a call with both variants and several thread counts, in both thread orders. Returns a list of complaints (empty
 * if all is well), so that a test can name its case: errors against the reference, and any bit that depends on the
 * number or order of threads.
 */
export function complaints(
  routine: CpuRoutine,
  oracle: ReferenceRoutine,
  call: RoutineCall,
  inputs: readonly (Values | null)[],
  options: CheckOptions,
): string[] {
  const found: string[] = [];
  const shapes = [...call.inputs, ...call.outputs].map((spec) => (spec ? `(${spec.shape.join(', ')})` : '-')).join(' ');
  const label = `${call.name} ${shapes} ${JSON.stringify(call.attributes)}`;
  const expected = reference(oracle, call, inputs);
  for (const variant of variants) {
    const machine = kernelMachine(variant);
    let first: CpuResult | null = null;
    for (const threads of options.threads ?? [1, 2, 3, 20]) {
      const result = machine.run(routine, call, inputs, threads, threads % 2 === 0);
      if (result.fault[0] !== 0) found.push(`${label} ${variant}: fault ${result.fault.join()}`);
      first ??= result;
      for (let i = 0; i < expected.length; i++) {
        const tolerance = typeof options.tolerance === 'number' ? options.tolerance : options.tolerance[i];
        const error = largestError(result.outputs[i], expected[i]);
        if (!(error <= tolerance))
          found.push(`${label} ${variant}, ${threads} threads: output ${i} is off by ${error}, allowed ${tolerance}`);
        const [one, other] = [bits(first.outputs[i]), bits(result.outputs[i])];
        const same = one.every((x, at) => x === other[at]);
        if (!same) found.push(`${label} ${variant}: output ${i} with ${threads} threads has other bits than with 1`);
      }
    }
  }
  return found;
}
