import type { ByteWriter } from './bytes';

/** WebAssembly value types and their binary codes. */
export const valueTypes = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = keyof typeof valueTypes;

/**
 * A typed expression: emitting it leaves one value of its type on the operand stack. Expressions are trees of plain
 * closures: an expression that is used twice is computed twice, so shared values go through `FunctionBuilder.let`.
 */
export interface Expr<T extends ValueType = ValueType> {
  readonly type: T;
  readonly emit: (out: ByteWriter) => void;
}

export type I32 = Expr<'i32'>;
export type V128 = Expr<'v128'>;

type Operands = readonly Expr[];

function emitAll(out: ByteWriter, operands: Operands): void {
  for (const operand of operands) operand.emit(out);
}

/** An instruction of one byte. */
export function plain<T extends ValueType>(type: T, code: number, ...operands: Operands): Expr<T> {
  return {
    type,
    emit(out) {
      emitAll(out, operands);
      out.byte(code);
    },
  };
}

/** An instruction of the SIMD group (prefix 0xfd), with immediate bytes after it. */
export function simd<T extends ValueType>(
  type: T,
  code: number,
  operands: Operands,
  immediates: readonly number[] = [],
): Expr<T> {
  return {
    type,
    emit(out) {
      emitAll(out, operands);
      out.byte(0xfd);
      out.u32(code);
      out.bytes(immediates);
    },
  };
}

/**
 * An instruction with a prefix byte, a memory argument (alignment as a power of two, constant offset) and optionally a
 * lane.
 */
export function memory<T extends ValueType>(
  type: T,
  prefix: number | null,
  code: number,
  align: number,
  offset: number,
  operands: Operands,
  lane?: number,
): Expr<T> {
  return { type, emit: (out) => emitMemory(out, prefix, code, align, offset, operands, lane) };
}

/** Emits what `memory` describes; on its own for stores, which leave no value. */
export function emitMemory(
  out: ByteWriter,
  prefix: number | null,
  code: number,
  align: number,
  offset: number,
  operands: Operands,
  lane?: number,
): void {
  emitAll(out, operands);
  if (prefix !== null) {
    out.byte(prefix);
    out.u32(code);
  } else {
    out.byte(code);
  }
  out.u32(align);
  out.u32(offset);
  if (lane !== undefined) out.byte(lane);
}
