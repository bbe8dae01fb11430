import { byteSize, type ComputeType, type DType } from '../dtype';
import { sizeOf } from '../shape';

/**
 * The kernel IR: one fused loop nest over a rectangular domain.
 *
 *   for every output point o of domain[0 .. outerDims):
 *     for every reduction point r of domain[outerDims ..]:      (absent when nothing is reduced)
 *       run `body`; stores of phase 'body' are written; reduces accumulate
 *     run `epilogue` (may use 'reduced' values); stores of phase 'epilogue' are written
 *
 * `body` and `epilogue` are lists of instructions in SSA form with one shared numbering: instruction k of `body` is value k, instruction k of
 * `epilogue` is value body.length + k. Without reduces, `epilogue` is empty and everything happens in `body`.
 *
 * Printers (WASM, WGSL, PTX) and the reference interpreter all read exactly this.
 */
export interface Kernel {
  /** Loop sizes, outermost first, all > 0. Dimensions of size 1 and mergeable neighbours are already collapsed. May be empty (a scalar). */
  readonly domain: readonly number[];
  /** How many leading dimensions are output dimensions; the others are reduced. */
  readonly outerDims: number;
  readonly loads: readonly Access[];
  readonly body: readonly Instruction[];
  readonly reduces: readonly Reduce[];
  readonly epilogue: readonly Instruction[];
  readonly stores: readonly Store[];
  /**
   * A loop whose points all belong to one thread, which loads everything before it stores anything: elements move along it within one array. Only
   * for backends that have `replacesColumns`, in kernels without reductions.
   */
  readonly column?: number;
}

/**
 * Where a load or store touches its buffer: element index = offset + sum_d strides[d] * i_d, over all domain dimensions (a stride of 0
 * broadcasts). Out of any guard's range a load gives 0 and must not touch memory.
 */
export interface Access {
  /** Index into the step's `buffers`. */
  readonly buffer: number;
  readonly dtype: DType;
  readonly offset: number;
  readonly strides: readonly number[];
  readonly guards: readonly Guard[];
}

/** Bytes that an access moves if each element of its buffer is moved once; guards are not looked at. */
export function touchedBytes({ dtype, strides }: Pick<Access, 'dtype' | 'strides'>, domain: readonly number[]): number {
  return byteSize(dtype) * sizeOf(domain.filter((_, d) => strides[d] !== 0));
}

/** Holds where 0 <= offset + sum_d strides[d] * i_d < size (from `pad`). */
export interface Guard {
  readonly offset: number;
  readonly strides: readonly number[];
  readonly size: number;
}

export interface Reduce {
  readonly op: ReduceOp;
  /** Value of `body` that is accumulated. Sums of int32 wrap; max over floats propagates NaN. */
  readonly value: number;
  readonly dtype: ComputeType;
}

export interface Store {
  readonly access: Access;
  readonly value: number;
  readonly phase: 'body' | 'epilogue';
}

export type ReduceOp = 'sum' | 'max';

export type UnaryOp =
  | 'neg' | 'abs' | 'sign' | 'exp' | 'expm1' | 'log' | 'log1p' | 'sqrt' | 'rsqrt' | 'reciprocal' | 'sin' | 'cos' | 'tanh' | 'erf'
  | 'sigmoid' | 'softplus' | 'floor' | 'not';

/** Integer ops act on int32 with wrap-around; comparisons give bool; `and`, `or`, `xor` work on bool and int32; `shr` is logical. */
export type BinaryOp =
  | 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'pow' | 'lt' | 'le' | 'eq' | 'ne' | 'and' | 'or' | 'xor' | 'shl' | 'shr';

export type Instruction =
  | { readonly op: 'load'; readonly load: number; readonly dtype: ComputeType }
  | { readonly op: 'const'; readonly value: number; readonly dtype: ComputeType }
  /** offset + sum_d strides[d] * i_d as int32. */
  | { readonly op: 'index'; readonly offset: number; readonly strides: readonly number[]; readonly dtype: 'int32' }
  | { readonly op: UnaryOp; readonly args: readonly [number]; readonly dtype: ComputeType }
  | { readonly op: BinaryOp; readonly args: readonly [number, number]; readonly dtype: ComputeType }
  /** args: condition (bool), value if true, value if false. */
  | { readonly op: 'where'; readonly args: readonly [number, number, number]; readonly dtype: ComputeType }
  /**
   * To `to`. float→int truncates towards zero (saturating, NaN → 0); to bool: != 0; to bfloat16 / float16: rounds to nearest even and stays
   * float32 in registers (`dtype` is then 'float32').
   */
  | { readonly op: 'cast'; readonly args: readonly [number]; readonly to: DType; readonly dtype: ComputeType }
  /** Threefry-2x32, 20 rounds: args key0, key1, counter (word 0; word 1 is 0); gives output word `lane`. All int32. */
  | { readonly op: 'threefry'; readonly args: readonly [number, number, number]; readonly lane: 0 | 1; readonly dtype: 'int32' }
  /** Result `reduce` of the reduction; epilogue only. */
  | { readonly op: 'reduced'; readonly reduce: number; readonly dtype: ComputeType };
