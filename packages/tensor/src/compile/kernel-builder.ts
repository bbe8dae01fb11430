import type { ComputeType, DType } from '../dtype';
import { type Affine, type AffineGuard, type IndexMap, identityRows, zero } from './index-map';
import type { Instruction, ReduceOp } from './kernel';

/** A value in memory before slots are assigned: one node's result. */
export interface Buffer {
  readonly id: number;
  readonly bytes: number;
  readonly dtype: DType;
  readonly elements: number;
}

export interface DraftAccess extends Affine {
  buffer: Buffer;
  guards: AffineGuard[];
}

export interface DraftStore {
  access: DraftAccess;
  value: number;
}

type DraftReduce = { op: ReduceOp; value: number; dtype: ComputeType };

/** Values of the part after the reduction are numbered from here until the body is complete. */
const epilogueBase = 1 << 24;

/**
 * A kernel while it is being assembled. Loops can still be split and appended, which rewrites every affine function that was made so far;
 * equal instructions are emitted once.
 */
export class KernelBuilder {
  domain: number[];
  outerDims: number;
  readonly loads: DraftAccess[] = [];
  readonly stores: DraftStore[] = [];
  readonly reduces: DraftReduce[] = [];
  private readonly instructions: { body: Instruction[]; epilogue: Instruction[] } = { body: [], epilogue: [] };
  private phase: 'body' | 'epilogue' = 'epilogue';
  private readonly maps = new Set<IndexMap>();
  private emitted: Map<string, number> = new Map();
  /** Values per (node, index map), see lower.ts; valid until the loops change. */
  memo: Map<string, number> = new Map();
  readonly label: string[] = [];

  constructor(domain: readonly number[]) {
    this.domain = [...domain];
    this.outerDims = domain.length;
  }

  /** Everything emitted from now on belongs to the loop body, in front of the reductions. */
  enterBody(): void {
    this.phase = 'body';
    this.emitted = new Map();
    this.memo = new Map();
  }

  identity(): IndexMap {
    return this.register({ rows: identityRows(this.domain.length, 0, this.domain.length), guards: [] });
  }

  register(map: IndexMap): IndexMap {
    this.maps.add(map);
    return map;
  }

  /** New innermost loops; gives their rows. */
  appendLoops(sizes: readonly number[]): Affine[] {
    const first = this.domain.length;
    for (const size of sizes) this.domain.push(size);
    this.rewrite((a) => {
      for (let i = 0; i < sizes.length; i++) a.strides.push(0);
    });
    return identityRows(this.domain.length, first, sizes.length);
  }

  /** Loop `loop` of size n becomes (n / inner, inner). */
  splitLoop(loop: number, inner: number): void {
    this.domain.splice(loop, 1, this.domain[loop] / inner, inner);
    if (loop < this.outerDims) this.outerDims++;
    this.rewrite((a) => {
      a.strides.splice(loop, 1, a.strides[loop] * inner, a.strides[loop]);
    });
  }

  private rewrite(change: (a: Affine) => void): void {
    const seen = new Set<Affine>();
    const once = (a: Affine): void => {
      if (seen.has(a)) return;
      seen.add(a);
      change(a);
    };
    for (const map of this.maps) {
      map.rows.forEach(once);
      map.guards.forEach(once);
    }
    for (const access of [...this.loads, ...this.stores.map((s) => s.access)]) {
      once(access);
      access.guards.forEach(once);
    }
    for (const list of [this.instructions.body, this.instructions.epilogue]) {
      for (const instruction of list) if (instruction.op === 'index') once(instruction as unknown as Affine);
    }
    this.emitted = new Map();
    this.memo = new Map();
  }

  emit(instruction: Instruction): number {
    const key = JSON.stringify(instruction, (_, v) => (typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0)) ? `${Object.is(v, -0) ? '-0' : v}` : v));
    const known = this.emitted.get(key);
    if (known !== undefined) return known;
    const list = this.instructions[this.phase];
    list.push(instruction);
    const id = list.length - 1 + (this.phase === 'epilogue' ? epilogueBase : 0);
    this.emitted.set(key, id);
    return id;
  }

  emitLoad(buffer: Buffer, at: Affine, guards: readonly AffineGuard[], dtype: ComputeType): number {
    const copy = (a: Affine): Affine => ({ offset: a.offset, strides: [...a.strides] });
    const access: DraftAccess = { ...copy(at), buffer, guards: guards.map((g) => ({ ...copy(g), size: g.size })) };
    const key = accessKey(access);
    let load = this.loads.findIndex((l) => accessKey(l) === key);
    if (load < 0) load = this.loads.push(access) - 1;
    return this.emit({ op: 'load', load, dtype });
  }

  emitReduced(op: ReduceOp, dtype: ComputeType): number {
    this.reduces.push({ op, value: -1, dtype });
    return this.emit({ op: 'reduced', reduce: this.reduces.length - 1, dtype });
  }

  /** Writes `value` contiguously over the output loops as they were at the start. */
  store(buffer: Buffer, at: Affine, value: number): void {
    this.stores.push({ access: { offset: at.offset, strides: [...at.strides], buffer, guards: [] }, value });
  }

  get instructionCount(): number {
    return this.instructions.body.length + this.instructions.epilogue.length;
  }

  /** Body and epilogue with final numbering, also in stores and reduces. Without reduction all that was emitted is the body. */
  finish(): { body: Instruction[]; epilogue: Instruction[] } {
    const { body, epilogue } = this.instructions;
    const offset = this.reduces.length === 0 ? 0 : body.length;
    const renumber = (v: number): number => (v >= epilogueBase ? v - epilogueBase + offset : v);
    const fix = (list: Instruction[]): Instruction[] =>
      list.map((x) => ('args' in x ? ({ ...x, args: x.args.map(renumber) } as unknown as Instruction) : x));
    for (const store of this.stores) store.value = renumber(store.value);
    for (const r of this.reduces) r.value = renumber(r.value);
    return this.reduces.length === 0 ? { body: fix(epilogue), epilogue: [] } : { body: fix(body), epilogue: fix(epilogue) };
  }
}

export function accessKey(a: DraftAccess): string {
  return `${a.buffer.id}@${a.offset}:${a.strides.join(',')}|${a.guards.map((g) => `${g.offset}:${g.strides.join(',')}<${g.size}`).join(';')}`;
}

export { zero };
