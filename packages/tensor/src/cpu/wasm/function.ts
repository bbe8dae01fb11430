import { ByteWriter } from './bytes';
import { emitMemory, valueTypes, type Expr, type I32, type V128, type ValueType } from './expression';
import { i32, v128 } from './operators';

/** A mutable WebAssembly local. */
export interface Local<T extends ValueType = ValueType> {
  readonly type: T;
  readonly index: number;
  readonly get: Expr<T>;
}

/**
 * Writes the body of one function. Statements are emitted in the order of the calls; expressions where they are used.
 * Vector constants are kept in locals set at the function's start: V8 would otherwise rebuild them at every use, inside
 * loops too.
 */
export class FunctionBuilder {
  private readonly code = new ByteWriter(1024);
  private readonly prologue = new ByteWriter();
  private readonly locals: ValueType[] = [];
  private readonly constants = new Map<string, V128>();
  private depth = 0;

  constructor(
    readonly parameters: readonly ValueType[],
    readonly results: readonly ValueType[] = [],
  ) {}

  parameter<T extends ValueType>(index: number, type: T): Expr<T> {
    return localGet(type, index);
  }

  local<T extends ValueType>(type: T): Local<T> {
    const index = this.parameters.length + this.locals.length;
    this.locals.push(type);
    return { type, index, get: localGet(type, index) };
  }

  set<T extends ValueType>(local: Local<T>, value: Expr<T>): void {
    value.emit(this.code);
    this.code.byte(0x21);
    this.code.u32(local.index);
  }

  /** Computes `value` once, now; the result can be used any number of times. */
  let<T extends ValueType>(value: Expr<T>): Expr<T> {
    const local = this.local(value.type);
    this.set(local, value);
    return local.get;
  }

  /** A vector constant given as four 32-bit words. */
  words(a: number, b: number, c: number, d: number): V128 {
    const key = `${a >>> 0},${b >>> 0},${c >>> 0},${d >>> 0}`;
    const known = this.constants.get(key);
    if (known) return known;
    const local = this.local('v128');
    v128.const([a, b, c, d]).emit(this.prologue);
    this.prologue.byte(0x21);
    this.prologue.u32(local.index);
    this.constants.set(key, local.get);
    return local.get;
  }

  /** Four equal int32 lanes. */
  int(value: number): V128 {
    return this.words(value, value, value, value);
  }

  /** Four equal float32 lanes. */
  float(value: number): V128 {
    const word = new Uint32Array(new Float32Array([value]).buffer)[0];
    return this.words(word, word, word, word);
  }

  /** Two equal float64 lanes. */
  double(value: number): V128 {
    const [low, high] = new Uint32Array(new Float64Array([value]).buffer);
    return this.words(low, high, low, high);
  }

  /** An expression evaluated for its effect; its value is dropped. */
  drop(value: Expr): void {
    value.emit(this.code);
    this.code.byte(0x1a);
  }

  store32(address: I32, value: I32, offset = 0): void {
    emitMemory(this.code, null, 0x36, 2, offset, [address, value]);
  }

  atomicStore(address: I32, value: I32): void {
    emitMemory(this.code, 0xfe, 0x17, 2, 0, [address, value]);
  }

  storeVector(address: I32, value: V128, offset = 0): void {
    emitMemory(this.code, 0xfd, 11, 2, offset, [address, value]);
  }

  store32Lane(address: I32, value: V128, lane: number, offset = 0): void {
    emitMemory(this.code, 0xfd, 90, 2, offset, [address, value], lane);
  }

  store16Lane(address: I32, value: V128, lane: number, offset = 0): void {
    emitMemory(this.code, 0xfd, 89, 1, offset, [address, value], lane);
  }

  store64Lane(address: I32, value: V128, lane: number, offset = 0): void {
    emitMemory(this.code, 0xfd, 91, 1, offset, [address, value], lane);
  }

  /** Calls a function without results. */
  call(index: number, args: readonly Expr[]): void {
    for (const arg of args) arg.emit(this.code);
    this.code.byte(0x10);
    this.code.u32(index);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    condition.emit(this.code);
    this.code.byte(0x04);
    this.code.byte(0x40);
    this.depth++;
    then();
    if (otherwise) {
      this.code.byte(0x05);
      otherwise();
    }
    this.depth--;
    this.code.byte(0x0b);
  }

  /** A block that `breakIf` and `break` can leave. */
  block(body: (label: number) => void): void {
    this.code.byte(0x02);
    this.code.byte(0x40);
    body(++this.depth);
    this.depth--;
    this.code.byte(0x0b);
  }

  /** Jumps to the end of a block. */
  break(label: number): void {
    this.code.byte(0x0c);
    this.code.u32(this.depth - label);
  }

  breakIf(condition: I32, label: number): void {
    condition.emit(this.code);
    this.code.byte(0x0d);
    this.code.u32(this.depth - label);
  }

  /** Repeats `body` while `condition` holds; tests once in front and then at the end of each turn. */
  while(condition: I32, body: () => void): void {
    this.if(condition, () => this.doWhile(body, condition));
  }

  doWhile(body: () => void, condition: I32): void {
    this.code.byte(0x03);
    this.code.byte(0x40);
    this.depth++;
    body();
    condition.emit(this.code);
    this.code.byte(0x0d);
    this.code.u32(0);
    this.depth--;
    this.code.byte(0x0b);
  }

  return(value?: Expr): void {
    value?.emit(this.code);
    this.code.byte(0x0f);
  }

  /** Where no path leads. */
  unreachable(): void {
    this.code.byte(0x00);
  }

  /** The function's entry of the code section. */
  finish(): Uint8Array {
    const body = new ByteWriter(this.code.length + 256);
    // Locals as runs of equal types.
    const runs: [ValueType, number][] = [];
    for (const type of this.locals) {
      const last = runs.at(-1);
      if (last && last[0] === type) last[1]++;
      else runs.push([type, 1]);
    }
    body.u32(runs.length);
    for (const [type, count] of runs) {
      body.u32(count);
      body.byte(valueTypes[type]);
    }
    body.bytes(this.prologue.finish());
    body.bytes(this.code.finish());
    body.byte(0x0b);
    return body.finish();
  }
}

function localGet<T extends ValueType>(type: T, index: number): Expr<T> {
  return {
    type,
    emit(out) {
      out.byte(0x20);
      out.u32(index);
    },
  };
}

/** The value of a call with one result. */
export function callExpr<T extends ValueType>(type: T, index: number, args: readonly Expr[]): Expr<T> {
  return {
    type,
    emit(out) {
      for (const arg of args) arg.emit(out);
      out.byte(0x10);
      out.u32(index);
    },
  };
}

/** a + constant, without an instruction where the constant is 0. */
export function addConst(a: I32, constant: number): I32 {
  return constant === 0 ? a : i32.add(a, i32.const(constant));
}

/** a * constant, without a multiplication where there is a cheaper way. */
export function mulConst(a: I32, constant: number): I32 {
  if (constant === 1) return a;
  const bits = Math.log2(constant);
  return Number.isInteger(bits) ? i32.shl(a, i32.const(bits)) : i32.mul(a, i32.const(constant));
}
