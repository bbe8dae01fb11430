import { type Access, byteSize, type Instruction, type Kernel } from '@mamba-ts/tensor';
import { type Addressing, dependsOn, elementsPerAccess, type Points, vectorizes } from './addressing';
import { floatLiteral, type Operand, type PtxCode } from './code';
import { boolToInt, compute, narrow, type Value, widen } from './values';

/** Values of a kernel's instructions at some neighbouring points: one for all of them, or one per point. */
export type TileValues = (readonly Value[] | undefined)[];

/** Evaluates instructions of a kernel at neighbouring points, loading and storing several elements at a time where they are neighbours too. */
export class Tile {
  constructor(
    private readonly code: PtxCode,
    private readonly kernel: Kernel,
    private readonly addressing: Addressing,
    readonly points: Points,
    readonly values: TileValues,
    /** Results of the reductions, for the epilogue: one list per reduction. */
    private readonly reduced: readonly (readonly Value[])[] = [],
  ) {}

  /** Evaluates `list`, whose first instruction is value `first`, where `wanted` says so and it is not known yet. */
  evaluate(list: readonly Instruction[], first: number, wanted: (x: Instruction, value: number) => boolean = () => true): void {
    list.forEach((x, i) => {
      const value = first + i;
      if (this.values[value] === undefined && wanted(x, value)) this.values[value] = this.instruction(x);
    });
  }

  private instruction(x: Instruction): readonly Value[] {
    const { points } = this;
    switch (x.op) {
      case 'load':
        return this.load(this.kernel.loads[x.load]);
      case 'index': {
        const varies = points.varying >= 0 && x.strides[points.varying] !== 0;
        return this.each(varies, (v) => ({ dtype: 'int32', register: this.addressing.index(x, points, v) }));
      }
      case 'reduced':
        return this.reduced[x.reduce];
      default: {
        const args = ('args' in x ? x.args : []).map((a) => this.values[a] as readonly Value[]);
        return this.each(args.some((a) => a.length > 1), (v) => compute(this.code, x, args.map((a) => a[a.length > 1 ? v : 0])));
      }
    }
  }

  private each(varies: boolean, make: (v: number) => Value): Value[] {
    return Array.from({ length: varies ? this.points.count : 1 }, (_, v) => make(v));
  }

  private load(access: Access): readonly Value[] {
    const { points } = this;
    const { register, bytes } = this.addressing.address(access, points);
    const wide = points.count > 1 && vectorizes(access, points.varying, points.count, this.kernel.domain);
    if (wide) {
      const guard = this.addressing.inside(access.guards, points, 0);
      const step = elementsPerAccess(access.dtype, points.count);
      const list: Value[] = [];
      for (let v = 0; v < points.count; v += step) list.push(...this.loadWide(access, register, bytes + v * byteSize(access.dtype), step, guard));
      return list;
    }
    const varies = points.varying >= 0 && (access.strides[points.varying] !== 0 || access.guards.some((g) => dependsOn(g, [points.varying])));
    const stride = points.varying < 0 ? 0 : access.strides[points.varying];
    return this.each(varies, (v) => {
      const guard = this.addressing.inside(access.guards, points, v);
      return this.loadOne(access, `[${register}+${bytes + v * stride * byteSize(access.dtype)}]`, guard);
    });
  }

  private loadOne(access: Access, at: string, guard: Operand | null): Value {
    const { code } = this;
    const read = (kind: 'f' | 'r' | 'h', type: string): Operand => {
      if (guard === null) return code.op(kind, `ld.global.${type}`, at);
      const register = code.op(kind, `mov.${kind === 'h' ? 'b16' : 'b32'}`, kind === 'f' ? floatLiteral(0) : 0);
      code.do(`ld.global.${type}`, [register, at], guard);
      return register;
    };
    switch (access.dtype) {
      case 'float32':
        return { dtype: 'float32', register: read('f', 'f32') };
      case 'int32':
        return { dtype: 'int32', register: read('r', 'b32') };
      case 'bool':
        return { dtype: 'bool', register: code.op('p', 'setp.ne.s32', read('r', 'b32'), 0) };
      default:
        return { dtype: 'float32', register: widen(code, read('h', 'b16'), access.dtype) };
    }
  }

  /** `count` elements with one instruction: 4 to 16 bytes. */
  private loadWide(access: Access, address: Operand, bytes: number, count: number, guard: Operand | null): Value[] {
    const { code } = this;
    const half = byteSize(access.dtype) === 2;
    const words = half ? count / 2 : count;
    const kind = access.dtype === 'float32' ? 'f' : 'r';
    const registers = Array.from({ length: words }, () => code.register(kind));
    if (guard !== null) for (const register of registers) code.do('mov.b32', [register, kind === 'f' ? floatLiteral(0) : 0]);
    const type = kind === 'f' ? 'f32' : 'b32';
    code.do(`ld.global${words > 1 ? `.v${words}` : ''}.${type}`, [words > 1 ? `{${registers.join(', ')}}` : registers[0], `[${address}+${bytes}]`], guard);
    if (access.dtype === 'float32') return registers.map((register) => ({ dtype: 'float32', register }));
    if (access.dtype === 'int32') return registers.map((register) => ({ dtype: 'int32', register }));
    if (access.dtype === 'bool') return registers.map((register) => ({ dtype: 'bool', register: code.op('p', 'setp.ne.s32', register, 0) }));
    const float = (register: Operand): Value => ({ dtype: 'float32', register });
    return registers.flatMap((word) => {
      if (access.dtype === 'bfloat16') {
        const low = code.op('r', 'shl.b32', word, 16);
        const high = code.op('r', 'and.b32', word, -65536);
        return [float(code.op('f', 'mov.b32', low)), float(code.op('f', 'mov.b32', high))];
      }
      const [low, high] = [code.register('h'), code.register('h')];
      code.do('mov.b32', [`{${low}, ${high}}`, word]);
      return [float(widen(code, low, 'float16')), float(widen(code, high, 'float16'))];
    });
  }

  /** Writes what the kernel stores in this phase; `condition` is a predicate for all of it. */
  store(phase: 'body' | 'epilogue', condition: Operand | null): void {
    const { code, points, kernel } = this;
    for (const { access, value, phase: own } of kernel.stores) {
      if (own !== phase) continue;
      const values = this.values[value] as readonly Value[];
      const at = (v: number): Value => values[values.length > 1 ? v : 0];
      const { register, bytes } = this.addressing.address(access, points);
      const guarded = (v: number): Operand | null => {
        const inside = this.addressing.inside(access.guards, points, v);
        return inside === null || condition === null ? (inside ?? condition) : code.op('p', 'and.pred', inside, condition);
      };
      const size = byteSize(access.dtype);
      if (points.count > 1 && vectorizes(access, points.varying, points.count, kernel.domain)) {
        const predicate = guarded(0);
        const step = elementsPerAccess(access.dtype, points.count);
        for (let v = 0; v < points.count; v += step) {
          this.storeWide(access, `[${register}+${bytes + v * size}]`, Array.from({ length: step }, (_, i) => at(v + i)), predicate);
        }
        continue;
      }
      const stride = points.varying < 0 ? 0 : access.strides[points.varying];
      for (let v = 0; v < points.count; v++) {
        const { type, operand } = this.encode(access, at(v));
        code.do(`st.global.${type}`, [`[${register}+${bytes + v * stride * size}]`, operand], guarded(v));
      }
    }
  }

  private encode(access: Access, { dtype, register }: Value): { type: string; operand: Operand } {
    const { code } = this;
    switch (access.dtype) {
      case 'float32':
        return { type: 'f32', operand: register };
      case 'bool':
        return { type: 'b32', operand: dtype === 'bool' ? boolToInt(code, register) : register };
      case 'int32':
        return { type: 'b32', operand: dtype === 'bool' ? boolToInt(code, register) : register };
      default:
        return { type: 'b16', operand: narrow(code, register, access.dtype) };
    }
  }

  private storeWide(access: Access, at: string, values: readonly Value[], predicate: Operand | null): void {
    const { code } = this;
    let type = access.dtype === 'float32' ? 'f32' : 'b32';
    let operands = values.map((value) => this.encode(access, value).operand);
    if (byteSize(access.dtype) === 2) {
      type = 'b32';
      operands = Array.from({ length: values.length / 2 }, (_, i) => code.op('r', 'mov.b32', `{${operands[2 * i]}, ${operands[2 * i + 1]}}`));
    }
    const vector = operands.length > 1;
    code.do(`st.global${vector ? `.v${operands.length}` : ''}.${type}`, [at, vector ? `{${operands.join(', ')}}` : operands[0]], predicate);
  }
}
