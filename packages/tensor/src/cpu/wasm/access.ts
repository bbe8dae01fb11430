import { byteSize } from '../../dtype';
import type { Access } from '../../compile/kernel';
import { type Affine, type AffineSet, floorDivide, maximum, minimum } from './affine';
import { dimsOf } from './analysis';
import type { I32, V128 } from './expression';
import { addConst, type FunctionBuilder } from './function';
import { i32, i32x4, v128 } from './operators';
import { decode, encode } from './storage';

/**
 * Which lanes of the vector dimension are handled: copy `copy` of four from the loop's position, or one element (lane
 * 0) of it.
 */
export interface Lanes {
  readonly copy: number;
  readonly single: boolean;
}

/** The loop levels as accesses see them. */
export interface LoopLevels {
  readonly levelOf: readonly number[];
  readonly vector: number;
  readonly vectorSize: number;
  /** Position in the vector loop. */
  readonly x: I32;
}

/** One load or store of a kernel: computes addresses and guards level by level, and prints the instructions. */
export class AccessPrinter {
  private readonly address: Affine;
  private readonly stride: number;
  private readonly bytes: number;
  /** Guards as (affine without the vector dimension, its stride along it, size). */
  private readonly guards: readonly { rest: Affine; stride: number; size: number }[];
  private readonly guardLevel: number;
  private readonly guardsVector: boolean;
  /**
   * Without guards along the vector dimension: whether the access is in range. With: the valid positions [low, low +
   * length).
   */
  private inRange: I32 | null = null;
  private low: I32 | null = null;
  private length: I32 | null = null;

  constructor(
    private readonly fn: FunctionBuilder,
    private readonly access: Access,
    private readonly levels: LoopLevels,
    affines: AffineSet,
  ) {
    this.bytes = byteSize(access.dtype);
    this.stride = access.strides[levels.vector];
    const base = fn.parameter(access.buffer, 'i32');
    this.address = affines.register(`buffer ${access.buffer}`, base, access.offset, access.strides, this.bytes);
    this.guards = access.guards.map((guard) => {
      const strides = guard.strides.map((s, d) => (d === levels.vector ? 0 : s));
      return {
        rest: affines.register('', null, guard.offset, strides, 1),
        stride: guard.strides[levels.vector],
        size: guard.size,
      };
    });
    this.guardsVector = this.guards.some((g) => g.stride !== 0);
    const dims = access.guards.reduce((set, g) => set | dimsOf(g.strides), 0) & ~(1 << levels.vector);
    this.guardLevel = levels.levelOf.reduce((max, level, d) => ((dims >> d) & 1 ? Math.max(max, level) : max), 0);
  }

  /** Does what this access loads differ between lanes? */
  get variesInVector(): boolean {
    return this.stride !== 0 || this.guardsVector;
  }

  /** Prints what the guards need once the indices of `level` are set. */
  enter(level: number): void {
    if (this.guards.length === 0 || level !== this.guardLevel) return;
    const { fn } = this;
    let inRange: I32 | null = null;
    for (const guard of this.guards) {
      if (guard.stride !== 0) continue;
      const test = i32.ltU(guard.rest.at[level], i32.const(guard.size));
      inRange = inRange === null ? test : i32.and(inRange, test);
    }
    this.inRange = inRange === null ? null : fn.let(inRange);
    if (!this.guardsVector) return;
    let low: I32 = i32.const(0);
    let high: I32 = i32.const(this.levels.vectorSize);
    for (const { rest, stride, size } of this.guards) {
      if (stride === 0) continue;
      const g = rest.at[level];
      const step = Math.abs(stride);
      // g + stride x in [0, size): x from the first to one past the last solution.
      const ascending = stride > 0;
      const from = ascending ? i32.sub(i32.const(step - 1), g) : i32.add(g, i32.const(step - size));
      const to = ascending ? i32.sub(i32.const(size + step - 1), g) : i32.add(g, i32.const(step));
      low = fn.let(maximum(low, fn.let(floorDivide(fn, from, step))));
      high = fn.let(minimum(high, fn.let(floorDivide(fn, to, step))));
    }
    if (this.inRange) high = fn.let(i32.select(this.inRange, high, low));
    this.low = low;
    this.length = fn.let(maximum(fn.let(i32.sub(high, low)), i32.const(0)));
  }

  /** Loads at the address of `level`; the result is in register form. */
  load(level: number, lanes: Lanes): V128 {
    const { fn } = this;
    const address = this.address.at[level];
    if (this.guards.length === 0) return decode(fn, this.access.dtype, fn.let(this.raw(address, lanes)));
    const value = fn.local('v128');
    fn.set(value, fn.int(0));
    if (!this.guardsVector) {
      fn.if(this.inRange as I32, () => fn.set(value, this.raw(address, lanes)));
      return decode(fn, this.access.dtype, value.get);
    }
    const position = fn.let(this.position(lanes));
    if (lanes.single) {
      fn.if(this.holds(position, 0), () => fn.set(value, this.raw(address, lanes)));
    } else {
      fn.if(
        this.allHold(position),
        () => fn.set(value, this.raw(address, lanes)),
        () => {
          for (let lane = 0; lane < 4; lane++) {
            fn.if(this.holds(position, lane), () =>
              fn.set(value, this.loadLane(address, lanes.copy * 4 + lane, value.get, lane)),
            );
          }
        },
      );
    }
    return decode(fn, this.access.dtype, value.get);
  }

  store(level: number, lanes: Lanes, value: V128): void {
    const { fn } = this;
    const address = this.address.at[level];
    const raw = encode(fn, this.access.dtype, value);
    if (!this.guardsVector) {
      if (this.inRange) fn.if(this.inRange, () => this.storeRaw(address, lanes, raw));
      else this.storeRaw(address, lanes, raw);
      return;
    }
    const position = fn.let(this.position(lanes));
    for (let lane = 0; lane < (lanes.single ? 1 : 4); lane++) {
      fn.if(this.holds(position, lane), () => this.storeLane(address, lanes.copy * 4 + lane, raw, lane));
    }
  }

  /** Distance of the first lane from the first valid position. */
  private position({ copy }: Lanes): I32 {
    return addConst(i32.sub(this.levels.x, this.low as I32), copy * 4);
  }

  private holds(position: I32, lane: number): I32 {
    return i32.ltU(addConst(position, lane), this.length as I32);
  }

  private allHold(position: I32): I32 {
    return i32.and(this.holds(position, 0), this.holds(position, 3));
  }

  /**
   * The address of an element at `distance` positions along the vector dimension, as an address and a constant offset
   * >= 0. The offset of an instruction does not wrap, so it is used only where `address` itself is sure to be in range.
   */
  private element(address: I32, distance: number): [I32, number] {
    const offset = distance * this.stride * this.bytes;
    return offset >= 0 && this.guards.length === 0 ? [address, offset] : [addConst(address, offset | 0), 0];
  }

  private raw(address: I32, { copy, single }: Lanes): V128 {
    const wide = this.bytes === 4;
    if (!this.variesInVector || this.stride === 0)
      return wide ? v128.load32Splat(address) : i32x4.splat(i32.load16u(address));
    if (single) return wide ? v128.load32Zero(address) : i32x4.splat(i32.load16u(address));
    if (Math.abs(this.stride) === 1) {
      const [at, offset] = this.element(address, this.stride > 0 ? copy * 4 : copy * 4 + 3);
      const loaded = wide ? v128.load(at, offset) : v128.load16x4u(at, offset);
      if (this.stride > 0) return loaded;
      const forward = this.fn.let(loaded);
      return v128.shuffle(forward, forward, [3, 2, 1, 0]);
    }
    let value = this.fn.int(0);
    for (let lane = 0; lane < 4; lane++) value = this.loadLane(address, copy * 4 + lane, value, lane);
    return value;
  }

  private loadLane(address: I32, distance: number, into: V128, lane: number): V128 {
    const [at, offset] = this.element(address, distance);
    if (this.bytes === 4) return lane === 0 ? v128.load32Zero(at, offset) : v128.load32Lane(at, into, lane, offset);
    return v128.load16Lane(at, into, lane * 2, offset);
  }

  private storeRaw(address: I32, { copy, single }: Lanes, raw: V128): void {
    if (single) return this.storeLane(address, 0, raw, 0);
    if (Math.abs(this.stride) !== 1) {
      for (let lane = 0; lane < 4; lane++) this.storeLane(address, copy * 4 + lane, raw, lane);
      return;
    }
    const { fn } = this;
    const [at, offset] = this.element(address, this.stride > 0 ? copy * 4 : copy * 4 + 3);
    const ordered = this.stride > 0 ? raw : fn.let(v128.shuffle(raw, raw, [3, 2, 1, 0]));
    if (this.bytes === 4) fn.storeVector(at, ordered, offset);
    else fn.store64Lane(at, i32x4.narrowU(ordered, ordered), 0, offset);
  }

  private storeLane(address: I32, distance: number, raw: V128, lane: number): void {
    const [at, offset] = this.element(address, distance);
    if (this.bytes === 4) this.fn.store32Lane(at, raw, lane, offset);
    else this.fn.store16Lane(at, raw, lane * 2, offset);
  }
}
