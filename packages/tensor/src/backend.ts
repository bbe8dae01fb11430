import type { Kernel } from './compile/kernel';
import type { Program, RoutineCall } from './compile/program';
import type { DType, HostArray } from './dtype';
import type { HalfInputs, ViewInputs } from './graph/routines';

/**
 * What a device implements. A new backend is one printer (Kernel → device code), one runtime (this interface) and its routines.
 * Everything is shaped by two cases: a CUDA graph, which replays fixed pointers without the host, and a browser tab without threads.
 *
 * A backend never decides what to run: the scheduler hands it a Program. It never falls back silently either: what it lacks, it refuses by name
 * (`DeviceError`), or the core lowers to primitives before the program reaches it.
 */
export interface Backend {
  /** `cpu`, `webgpu`, … Also the label in messages and reports. */
  readonly name: string;
  /** One line for reports: what runs, e.g. `WASM SIMD (relaxed), 2 threads`. */
  readonly description: string;
  /** False: the scheduler gives every graph node a step of its own (the reference interpreter). */
  readonly fuses: boolean;
  /** Byte offsets of arena slots are multiples of this; 64 if absent. */
  readonly arenaAlignment?: number;
  /** Most distinct buffers that one kernel may load from and store to (WebGPU binds a limited number); no limit if absent. */
  readonly maxKernelBuffers?: number;

  /** Reserves `bytes` (> 0) of device memory, contents undefined. @throws DeviceError when memory runs out. */
  allocate(bytes: number): DeviceBuffer;
  /** Gives a buffer back. Work already submitted that uses it still completes correctly. */
  free(buffer: DeviceBuffer): void;
  /** Host → device, `count = values.length` elements of `dtype` from element 0. Values are converted to the storage type. */
  write(buffer: DeviceBuffer, dtype: DType, values: HostArray): void;
  /** Device → host, after all submitted work that writes the buffer. Rejects with the fault that this work raised, if any. */
  read(buffer: DeviceBuffer, dtype: DType, count: number): Promise<HostArray>;
  /** As `read`, where the device can block the calling thread; absent elsewhere. */
  readSync?(buffer: DeviceBuffer, dtype: DType, count: number): HostArray;
  /** Device → device copy of `bytes` from the start of both. */
  copy(source: DeviceBuffer, target: DeviceBuffer, bytes: number): void;

  /**
   * Per routine, the positions of the inputs that it takes as stored when they are bfloat16 or float16; `RoutineCall.inputs` says which type
   * came. Sums are still done in float32. The core widens every other half-precision input before the call, and all of them where this is absent.
   */
  readonly halfInputs?: HalfInputs;
  /**
   * Per routine, the inputs that it takes where they lie inside a larger buffer (`TensorSpec.view`): a part of a projection, say, without a copy.
   * All others come contiguous.
   */
  readonly viewInputs?: ViewInputs;

  /** Do kernels know `Kernel.column`? Windows then shift in place, without a copy. Absent: they are copied. */
  readonly replacesColumns?: boolean;
  /** Do causalConv1d and its backward have the attribute silu? Saves an activation and two passes over memory. Absent: SiLU is a step of its own. */
  readonly convolvesWithSilu?: boolean;

  /** Null if this routine call can run here, else the reason why not (it ends up in the error message). */
  refuses(call: RoutineCall): string | null;
  /**
   * Can the code of this call run `kernel` on its first output, in registers (see `Epilogue`)? The scheduler asks where nothing else reads that
   * output. Absent: no routine absorbs anything.
   */
  absorbsEpilogue?(call: RoutineCall, kernel: Kernel): boolean;
  /**
   * Can the code of this call round an input itself: read float32 where the spec at `position` says half precision, in a view with `stored`? Saves the
   * cast of a part of a projection. Absent: no routine can, casts are steps of their own.
   */
  roundsInput?(call: RoutineCall, position: number): boolean;
  /** Should this matrix product be computed by primitives, fused with what is around it, rather than by the routine? Absent: none. */
  lowersMatmul?(call: RoutineCall): boolean;
  /**
   * float32 elements of what this selectiveScan can leave for its backward pass; 0 for nothing. Where both passes are in one program the scan then
   * has a third output of shape (elements), and selectiveScanBackward a thirteenth input, which it takes instead of computing states again. Contents
   * are the backend's own. Absent: nothing.
   */
  scanCheckpoints?(call: RoutineCall): number;
  /** Is there room for an arena of so many bytes now? Asked of programs that could do with less. Absent: yes. */
  arenaFits?(bytes: number): boolean;
  /** Bytes of scratch that the call needs; planned into the program's arena. 0 for none. */
  scratchBytes(call: RoutineCall): number;

  /** Prints, compiles and caches (by `program.key`) all kernels and looks up all routines. Does no device work and allocates no device memory. */
  prepare(program: Program): Executable;

  /** Waits for all submitted work; rejects with its fault, if any. */
  synchronize(): Promise<void>;
  /** Frees everything, stops threads. Buffers and executables are invalid afterwards. */
  dispose(): void;
}

/** A program, ready to run on one backend. */
export interface Executable {
  /** Runs once with these buffers (one per entry of `program.externals`) and an arena of at least `program.arenaBytes` (null when that is 0). */
  run(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): void;
  /** Binds the buffers for good and gives a replay that allocates nothing: a CUDA graph, prebuilt bind groups, a command list. */
  record(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Recording;
  /** Per step: what code it became, for `explain`. Same length as `program.steps`. */
  describe(): readonly StepDescription[];
  /**
   * Runs once, as `run`, with a timestamp between steps: nanoseconds per step. Absent where the device has no timestamps. Steps are timed one by
   * one, so their sum is more than a replay takes.
   */
  profile?(externals: readonly DeviceBuffer[], arena: DeviceBuffer | null): Promise<readonly number[]>;
}

export interface Recording {
  /** Submits the recorded work. On a fault (an index out of range) throws `OutOfRangeError` here or at the next read; later steps did not run. */
  replay(): void;
  dispose(): void;
}

export interface StepDescription {
  /** e.g. `wasm kernel, 4 lanes` or `wasm matmul 6x8 relaxed`. */
  readonly code: string;
}

/** Device memory, opaque to the core. */
export interface DeviceBuffer {
  readonly bytes: number;
}
