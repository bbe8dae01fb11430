import type { DType } from '../dtype';
import type { Shape } from '../shape';
import type { Kernel } from './kernel';
import type { RoutineName } from '../graph/routines';

/** A value in memory: shape and storage type. Row-major, and contiguous unless it is a view. */
export interface TensorSpec {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Only for inputs that the backend names in `viewInputs`: the value lies inside a larger buffer. */
  readonly view?: View;
}

/** Rows of a larger buffer: how many leading axes count them is what the backend's `viewInputs` says. Both are multiples of 16 bytes. */
export interface View {
  /** Elements before the first. */
  readonly offset: number;
  /** Elements from one row to the next. */
  readonly pitch: number;
  /** The larger buffer holds float32, which the routine rounds to the type of the spec as it reads (`Backend.roundsInput`). Absent: it has that type. */
  readonly stored?: 'float32';
}

/**
 * A piece of memory that steps read and write.
 * - 'external': bound by the caller: inputs, parameters and other state (written in place), constants, outputs;
 * - 'arena': a temporary (or routine scratch) at a planned byte offset of the program's one arena. Slots whose lifetimes do not meet share bytes.
 */
export interface Slot {
  readonly kind: 'external' | 'arena';
  readonly bytes: number;
  /** Byte offset in the arena, a multiple of the backend's `arenaAlignment` ('arena' only; 0 otherwise). */
  readonly offset: number;
  /** External memory that exists without the program (a variable, not a result): a fault must leave it as it was. */
  readonly outlives?: true;
}

export type Step = KernelStep | RoutineStep;

export interface KernelStep {
  readonly kind: 'kernel';
  readonly kernel: Kernel;
  /** Slot of each buffer number that the kernel's accesses name. */
  readonly buffers: readonly number[];
  /** For `explain`: the graph ops that were fused, e.g. `['mul', 'add', 'sum']`. */
  readonly label: readonly string[];
}

export interface RoutineStep {
  readonly kind: 'routine';
  readonly call: RoutineCall;
  /** Slots; null for an optional input that is absent. */
  readonly inputs: readonly (number | null)[];
  /** Slots. With an epilogue the first output has no memory: its place has the slot of the epilogue's first store. */
  readonly outputs: readonly number[];
  /** What becomes of the first output before it reaches memory; only where the backend's `absorbsEpilogue` said yes. */
  readonly epilogue?: Epilogue;
  /** Slot of the scratch that the backend asked for, or null. */
  readonly scratch: number | null;
}

/** An elementwise kernel over the first output of a routine: bias, activation, residual add, cast to half precision. */
export interface Epilogue {
  /**
   * The domain is the shape of the output, with all its axes, also those of size 1; no reductions. Loads of buffer 0 are the routine's result at
   * that very point, in a register; all stores are contiguous over the domain. A buffer may be loaded and stored: each point then reads before it
   * writes.
   */
  readonly kernel: Kernel;
  /** Slot of each buffer number of the kernel; null for number 0, which is not in memory. */
  readonly buffers: readonly (number | null)[];
  /** For `explain`: the graph ops that were fused. */
  readonly label: readonly string[];
}

/** A routine with everything that picks its code: name, shapes, attributes. Contains no memory. */
export interface RoutineCall {
  readonly name: RoutineName;
  readonly attributes: Readonly<Record<string, number | boolean>>;
  readonly inputs: readonly (TensorSpec | null)[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * What a backend compiles: straight-line steps over slots. Steps run in order; each sees the memory effects of all before it.
 * Two programs with equal `key` are the same program.
 */
export interface Program {
  readonly key: string;
  readonly slots: readonly Slot[];
  readonly steps: readonly Step[];
  readonly arenaBytes: number;
  /** The external slots, in binding order. */
  readonly externals: readonly number[];
}
