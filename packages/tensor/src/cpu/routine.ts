import type { RoutineCall } from '../compile/program';

/**
 * How one routine runs on WASM. The code lives in a WASM module (`kernels`: packages/tensor/assembly; `scan`: @mamba-ts/scan); this side knows
 * its parameter struct and its scratch. Every exported function has the form `name(params: usize, tid: i32, threads: i32): void`: all threads
 * call it with the same params and slice the work by tid, so that results are bit-identical for any thread count.
 */
export interface CpuRoutine {
  /** Why this call can't run here, or null. */
  refuses?(call: RoutineCall): string | null;
  /** Functions that run in order with a barrier after each. `serial` ones are called by thread 0 only. */
  phases(call: RoutineCall): readonly CpuPhase[];
  /** Bytes of scratch (independent of the thread count, so that plans and results are too). */
  scratchBytes(call: RoutineCall): number;
  /** Elements of what it can leave for its backward pass (`Backend.scanCheckpoints`). */
  checkpoints?(call: RoutineCall): number;
  /** Size of the parameter struct in bytes. */
  paramBytes(call: RoutineCall): number;
  /** Writes the struct at byte `at`; pointers are byte addresses, 0 for an absent input. Called again whenever buffers are rebound. */
  writeParams(view: DataView, at: number, call: RoutineCall, pointers: RoutinePointers): void;
}

export interface CpuPhase {
  readonly module: 'kernels' | 'scan';
  readonly name: string;
  readonly serial?: boolean;
}

export interface RoutinePointers {
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly scratch: number;
  /** Address of the fault record: i32 [kind, value, position, limit]; kind 0 = no fault. See `fault.ts`. */
  readonly fault: number;
}
