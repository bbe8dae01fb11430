import type { CudaContext, CudaFunction, CudaModule, CudaStream } from '@mamba-ts/scan-cuda/driver';
import type { Kernel, RoutineCall } from '@mamba-ts/tensor';

/** What a backend gives its routines. */
export interface RoutineHost {
  readonly context: CudaContext;
  /** Device address of the fault record (see faults.ts). */
  readonly fault: bigint;
  /** A kernel of a compiled module: `host.kernel(ptx, 'gather')` with `ptx` from `./ptx/NAME`. Modules are loaded once. */
  kernel(ptx: string, name: string): CudaFunction;
  /** As `kernel`, for PTX text or cubins that another package ships. Unloaded with the backend. */
  load(image: Uint8Array): CudaModule;
  /** Something that a routine wants once per backend (a library's handle, a workspace): made at first use, closed with the backend. */
  shared<T extends { close?(): void }>(key: string, make: () => T): T;
}

/** Device addresses of one call; 0n for an absent input, an empty array or no scratch. */
export interface RoutinePointers {
  readonly inputs: readonly bigint[];
  readonly outputs: readonly bigint[];
  readonly scratch: bigint;
  /** Per input: no step of the program before this one writes it, so it may be read before the kernel in front has ended. Absent: unknown. */
  readonly unwritten?: readonly boolean[];
  /** With an epilogue: the addresses of its buffers, by their numbers; number 0, the output in registers, has none. */
  readonly epilogue?: readonly bigint[];
}

/**
 * How one routine runs on CUDA. The file has the routine's name, as in the CPU backend. Inputs and outputs are contiguous, but for `viewInputs`;
 * their addresses are aligned to 64 bytes at least, that of a view's first element to 16.
 */
export interface CudaRoutine {
  /** Awaited once when the backend is opened: for whatever cannot be had synchronously (a library, another package's kernels). */
  open?(host: RoutineHost): Promise<void>;
  /** Inputs that may arrive in bfloat16 or float16 as stored; the core widens all others to float32. */
  readonly halfInputs?: readonly number[];
  /** Inputs that it takes as views (`TensorSpec.view`): position → how many leading axes count the rows. All others come contiguous. */
  readonly viewInputs?: Readonly<Record<number, number>>;
  /** Can it read the float32 values of a view, rounding them to the type of the input at `position` (see `Backend.roundsInput`)? Absent: no. */
  rounds?(call: RoutineCall, position: number, context: CudaContext): boolean;
  /** Why this call can't run here, or null. */
  refuses?(call: RoutineCall, context: CudaContext): string | null;
  /** Bytes of scratch, the same for equal calls. Planned into the program's arena: contents are undefined at each launch. */
  scratchBytes(call: RoutineCall, context: CudaContext): number;
  /** float32 elements of what it can leave for its backward pass (`Backend.scanCheckpoints`). */
  checkpoints?(call: RoutineCall, context: CudaContext): number;
  /** Can its code run this elementwise kernel on the first output (see `Epilogue` of the tensor core)? Absent: none. */
  absorbs?(call: RoutineCall, kernel: Kernel, context: CudaContext): boolean;
  /** Picks and loads the kernels. Allocates no device memory. `epilogue`: a kernel that `absorbs` said yes to. */
  prepare(call: RoutineCall, host: RoutineHost, epilogue?: Kernel): PreparedRoutine;
}

export interface PreparedRoutine {
  /** Queues the work. May be captured into a graph, so it allocates nothing, waits for nothing and takes the pointers' values now. */
  launch(stream: CudaStream, pointers: RoutinePointers): void;
  /** What runs, for `explain`: e.g. `cuBLASLt bf16` or `gemm 128x128 tf32`. */
  describe(): string;
  /**
   * True: the kernels leave the outputs alone when `host.fault` is set, so they may write to a program's state directly. Else such an output
   * goes to memory of its own first, and is copied where no fault came up. Matters for in-place state (stateUpdate) only.
   */
  readonly guarded?: boolean;
}
