import type { Access, DType, Guard, Kernel } from '@mamba-ts/tensor';
import { byteSize } from '@mamba-ts/tensor';
import type { Operand, PtxCode } from './code';

/** A loop index: register + constant (no register: the constant alone). */
export interface Coordinate {
  readonly register: Operand | null;
  readonly constant: number;
}

/** `count` neighbouring points of the domain: `coordinates` is the first, loop `varying` counts up. */
export interface Points {
  readonly coordinates: readonly Coordinate[];
  readonly varying: number;
  readonly count: number;
}

interface Affine {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Does an affine function change along one of these loops? */
export function dependsOn(a: Affine, loops: readonly number[]): boolean {
  return loops.some((d) => a.strides[d] !== 0);
}

/**
 * Addresses and indices of a kernel's accesses. Common parts are computed once per scope: `inner()` opens one for a loop body, whose registers
 * change from turn to turn; what depends on outer registers only stays in the outer scope, in front of the loop.
 */
export class Addressing {
  private readonly known = new Map<string, Operand>();
  /** Do element numbers need 64 bits? */
  private readonly wide: boolean;

  constructor(
    private readonly code: PtxCode,
    private readonly kernel: Kernel,
    /** Base address of each buffer. */
    private readonly bases: readonly Operand[],
    private readonly outer: Addressing | null = null,
    /** Loops whose registers belong to this scope. */
    private readonly loops: readonly number[] = [],
  ) {
    this.wide = outer?.wide ?? [...kernel.loads, ...kernel.stores.map((s) => s.access)].some((a) => reach(a, kernel.domain) >= 2 ** 31);
  }

  inner(loops: readonly number[]): Addressing {
    return new Addressing(this.code, this.kernel, this.bases, this, loops);
  }

  private once(key: string, make: () => Operand): Operand {
    let register = this.known.get(key);
    if (register === undefined) this.known.set(key, (register = make()));
    return register;
  }

  /** Computes what these need of outer scopes now: in front of a loop or branch that might never be entered. */
  hoist(accesses: readonly Access[], indices: readonly Affine[], points: Points): void {
    for (const access of accesses) this.address(access, points, true);
    for (const a of [...accesses.flatMap((access) => access.guards), ...indices]) {
      this.linear({ offset: 0, strides: a.strides.map((stride, d) => (this.loops.includes(d) ? 0 : stride)) }, points);
    }
  }

  /** The register part of an affine function, null where all its registers have stride 0; and the constant part. */
  private linear(a: Affine, { coordinates }: Points): { register: Operand | null; constant: number } {
    let constant = a.offset;
    let register: Operand | null = null;
    let key = '';
    let scope = this.rootFor([]);
    const used: number[] = [];
    a.strides.forEach((stride, d) => {
      constant += stride * coordinates[d].constant;
      const own = coordinates[d].register;
      if (stride === 0 || own === null) return;
      key += `${stride}*${own} `;
      used.push(d);
      scope = this.rootFor(used);
      const previous = register;
      register = scope.once(key, () => {
        if (previous === null) return stride === 1 ? own : this.code.op('r', 'mul.lo.s32', own, stride);
        return stride === 1 ? this.code.op('r', 'add.s32', previous, own) : this.code.op('r', 'mad.lo.s32', own, stride, previous);
      });
    });
    return { register, constant };
  }

  /** All scopes, the outermost first. */
  private chain(): Addressing[] {
    return this.outer ? [...this.outer.chain(), this] : [this];
  }

  /** The outermost scope that may hold what depends on these loops. */
  private rootFor(loops: readonly number[]): Addressing {
    if (this.outer === null || loops.some((d) => this.loops.includes(d))) return this;
    return this.outer.rootFor(loops);
  }

  /** An `index` instruction's value at point `v`. */
  index(a: Affine, points: Points, v: number): Operand {
    const { register, constant } = this.linear(a, points);
    const at = constant + (points.varying < 0 ? 0 : v * a.strides[points.varying]);
    if (register === null) return String(at | 0);
    return at === 0 ? register : this.code.op('r', 'add.s32', register, at | 0);
  }

  /** The address of an access at its first point, and the constant bytes to add to it. */
  address(access: Access, points: Points, outerOnly = false): { register: Operand; bytes: number } {
    const size = byteSize(access.dtype);
    const constant = access.strides.reduce((sum, stride, d) => sum + stride * points.coordinates[d].constant, access.offset) * size;
    let register = this.bases[access.buffer];
    let key = `@${access.buffer} `;
    // Loops of outer scopes first, so that their part stays in front of the loop.
    const chain = this.chain();
    const taken = new Set<number>();
    for (const scope of chain) {
      if (outerOnly && scope === this) break;
      const own = access.strides.map((stride, d) => {
        const belongs = scope.outer === null ? !chain.some((s) => s.loops.includes(d)) : scope.loops.includes(d);
        return belongs && !taken.has(d) && points.coordinates[d].register !== null ? stride : 0;
      });
      own.forEach((stride, d) => stride !== 0 && taken.add(d));
      if (own.every((stride) => stride === 0)) continue;
      key += own.map((stride, d) => (stride === 0 ? '' : `${stride}*${points.coordinates[d].register} `)).join('');
      const previous = register;
      register = scope.once(`${key}x${size}`, () => scope.advance(previous, own, size, points));
    }
    if (outerOnly || Math.abs(constant) + 16 * size * points.count < 2 ** 31) return { register, bytes: constant };
    const base = register;
    return { register: this.once(`${key}x${size}+${constant}`, () => this.code.op('d', 'add.s64', base, constant)), bytes: 0 };
  }

  /** address + size · Σ strides · registers */
  private advance(address: Operand, strides: readonly number[], size: number, points: Points): Operand {
    if (this.wide) {
      return strides.reduce((sum, stride, d) => {
        const { register } = points.coordinates[d];
        if (stride === 0 || register === null) return sum;
        const long = this.once(`long ${register}`, () => this.code.op('d', 'cvt.s64.s32', register));
        return this.code.op('d', 'mad.lo.s64', long, stride * size, sum);
      }, address);
    }
    const terms = strides.filter((stride) => stride !== 0);
    if (terms.length === 1) {
      const d = strides.findIndex((stride) => stride !== 0);
      const bytes = terms[0] * size;
      if (Math.abs(bytes) < 2 ** 31) return this.code.op('d', 'mad.wide.s32', points.coordinates[d].register as Operand, bytes, address);
    }
    const { register } = this.linear({ offset: 0, strides }, points);
    return this.code.op('d', 'mad.wide.s32', register as Operand, size, address);
  }

  /** Predicate that holds where point `v` is inside all guards; null where there are none. */
  inside(guards: readonly Guard[], points: Points, v: number): Operand | null {
    let all: Operand | null = null;
    for (const guard of guards) {
      const { register, constant } = this.linear(guard, points);
      const at = constant + (points.varying < 0 ? 0 : v * guard.strides[points.varying]);
      const value = register === null ? this.code.op('r', 'mov.b32', at) : at === 0 ? register : this.code.op('r', 'add.s32', register, at);
      // 0 <= value < size in one comparison
      const holds: Operand = this.code.op('p', 'setp.lt.u32', value, guard.size);
      all = all === null ? holds : this.code.op('p', 'and.pred', all, holds);
    }
    return all;
  }
}

/** Largest element number (or partial sum on the way to it) of an access. */
export function reach(access: Affine, domain: readonly number[]): number {
  return domain.reduce((sum, n, d) => sum + Math.abs(access.strides[d]) * (n - 1), Math.abs(access.offset)) + 1;
}

/** May `count` points along a loop be moved with one wide access? Needs unit stride, no guard that changes, and alignment. */
export function vectorizes(access: Access, loop: number, count: number, domain: readonly number[]): boolean {
  if (access.strides[loop] !== 1 || access.guards.some((g) => g.strides[loop] !== 0)) return false;
  return access.offset % count === 0 && access.strides.every((stride, d) => d === loop || domain[d] === 1 || stride % count === 0);
}

/** Bytes of a chunk that one instruction moves: at most 16. */
export function elementsPerAccess(dtype: DType, count: number): number {
  return Math.min(count, 16 / byteSize(dtype));
}
