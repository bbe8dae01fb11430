import { type Kernel, sizeOf } from '@mamba-ts/tensor';
import { createHash } from 'node:crypto';
import { Addressing, type Points } from './addressing';
import { type Operand, PtxCode } from './code';
import { type KernelFrame, neededLoops } from './frame';
import { chooseGeometry, describeGeometry, type ElementwiseGeometry, type Machine } from './geometry';
import { decompose } from './loops';
import { printReduction } from './reduction';
import { Tile } from './tile';

/** A kernel as PTX: one entry, and how to launch it. */
export interface PrintedKernel {
  /** Name of the entry, from a hash of its text. */
  readonly name: string;
  readonly text: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly threads: number;
  /** Addresses that it takes after those of its buffers, in this order. */
  readonly extra: readonly ('fault' | 'partials' | 'counters')[];
  readonly description: string;
}

export interface PrintOptions extends Machine {
  /** Stores nothing once the fault record is set: for steps that write what outlives a program whose earlier steps may fault. */
  readonly guarded: boolean;
  /** Buffers that no step of the program writes: weights. They are loaded while the kernel before still runs, where the device can. Default none. */
  readonly early?: readonly number[];
  /** An elementwise kernel that each block runs over the rows that it has reduced (see chain.ts). Its buffers come behind the reduction's. */
  readonly follower?: { readonly kernel: Kernel; readonly guarded: boolean };
  /** Runs for this many sets of buffers in one launch; their addresses come one set after the other. Default 1. */
  readonly sets?: number;
}

/**
 * What launches must have in common to become one: the code and its blocks. Code alone does not say how large a kernel's domain is, where blocks
 * fill it.
 */
export function launchCode({ name, grid: [x, y], threads }: PrintedKernel): string {
  return `${name} ${x}x${y}x${threads}`;
}

/** Most bytes of parameters that a kernel may have. */
const parameterBytes = 4096;

/** Sets of buffers that one launch of a kernel can take; 1 where its reductions share scratch. */
export function mostSets(printed: PrintedKernel, buffers: number): number {
  return printed.extra.includes('partials') ? 1 : Math.floor((parameterBytes - 8 * printed.extra.length) / (8 * Math.max(1, buffers)));
}

/** Prints a kernel. Deterministic: equal kernels and options give equal text. */
export function printKernel(kernel: Kernel, options: PrintOptions): PrintedKernel {
  const code = new PtxCode();
  const geometry = chooseGeometry(kernel, options);
  const { sets = 1, follower } = options;
  const own = bufferCount(kernel);
  const count = own + (follower ? bufferCount(follower.kernel) : 0);
  const extra: PrintedKernel['extra'][number][] = [];
  const parameter = (index: number): Operand => code.op('d', 'cvta.to.global.u64', code.op('d', 'ld.param.u64', `[p${index}]`));
  const parameters = sets > 1 ? 1 : count;
  const bases = sets > 1 ? listedBases(code, count) : Array.from({ length: count }, (_, i) => parameter(i));
  const next = (name: PrintedKernel['extra'][number]): Operand => parameter(parameters + extra.push(name) - 1);
  const fault = options.guarded || follower?.guarded ? next('fault') : null;
  const unlessFault = (guarded: boolean): Operand | null =>
    guarded && fault !== null ? code.op('p', 'setp.eq.s32', code.op('r', 'ld.volatile.global.b32', `[${fault}]`), 0) : null;
  const frame: KernelFrame = {
    code, kernel,
    addressing: new Addressing(code, kernel, bases.slice(0, own)),
    early: (buffer) => options.early?.includes(buffer) ?? false,
    awaitEarlier() {
      code.comment('overlap: await earlier kernels');
      return unlessFault(options.guarded);
    },
    parameter: next,
  };

  let grid: [number, number, number];
  let threads: number;
  let sharedBytes = 0;
  if (geometry.kind === 'elementwise') {
    printElementwise(frame, geometry);
    grid = [geometry.blocks, 1, sets];
    threads = geometry.threads;
  } else {
    sharedBytes = printReduction(frame, geometry);
    grid = [geometry.blocks, geometry.splits, sets];
    threads = geometry.lanes * geometry.across;
  }
  if (follower) {
    if (geometry.kind !== 'rows' || geometry.splits > 1) throw new Error(`printKernel: 'follower' needs a reduction of rows in one piece, not ${describeGeometry(geometry)}`);
    const { vector } = chooseGeometry(follower.kernel, options);
    const rows = { all: sizeOf(kernel.domain.slice(0, kernel.outerDims)), block: geometry.across * geometry.together };
    const second = { code, kernel: follower.kernel, addressing: new Addressing(code, follower.kernel, bases.slice(own)) };
    code.do('bar.sync', [0]);
    printRows(second, { vector, threads }, rows, unlessFault(follower.guarded));
  }
  const body = code.entry('NAME', parameters + extra.length, sets > 1 ? sets * count : 0, threads, sharedBytes);
  const name = `k${createHash('sha256').update(body).digest('hex').slice(0, 24)}`;
  const followed = follower ? ', then elementwise by row' : '';
  return { name, text: body.replace('NAME', name), grid, threads, extra, description: `PTX ${describeGeometry(geometry)}${followed}${sets > 1 ? `, ${sets} in one` : ''}` };
}

/** Buffers are numbered from 0. */
function bufferCount(kernel: Kernel): number {
  return Math.max(-1, ...[...kernel.loads, ...kernel.stores.map((s) => s.access)].map((a) => a.buffer)) + 1;
}

/** Base addresses of the set of buffers that this block works on: ctaid.z counts sets. */
function listedBases(code: PtxCode, count: number): Operand[] {
  const set = code.op('r', 'mul.lo.u32', code.op('r', 'mov.u32', '%ctaid.z'), 8 * count);
  const at = code.op('d', 'add.s64', code.op('d', 'mov.b64', 'p0'), code.op('d', 'cvt.u64.u32', set));
  return Array.from({ length: count }, (_, i) => code.op('d', 'cvta.to.global.u64', code.op('d', 'ld.param.u64', `[${at}+${8 * i}]`)));
}

/** Global number of this thread along x. */
function threadNumber(code: PtxCode, threads: number): Operand {
  const [block, thread] = [code.op('r', 'mov.u32', '%ctaid.x'), code.op('r', 'mov.u32', '%tid.x')];
  return code.op('r', 'mad.lo.u32', block, threads, thread);
}

function printElementwise({ code, kernel, addressing, early, awaitEarlier }: KernelFrame, { vector, threads }: ElementwiseGeometry): void {
  const { column = -1 } = kernel;
  const threadsAlong = kernel.domain.map((size, d) => (d === column ? 1 : size));
  const tiles = sizeOf(threadsAlong) / vector;
  const tile = threadNumber(code, threads);
  const end = code.newLabel();
  if (tiles % threads !== 0) code.do('bra', [end], code.op('p', 'setp.ge.u32', tile, tiles));
  const first = decompose(code, tile, threadsAlong, neededLoops(kernel), vector);
  const varying = vector > 1 ? kernel.domain.length - 1 : -1;
  // One after the other along the column, so that all of it is loaded before any of it is stored.
  const places = Array.from({ length: column < 0 ? 1 : kernel.domain[column] }, (_, at): Points => {
    const coordinates = first.map((own, d) => (d === column ? { register: null, constant: at } : own));
    return { coordinates, varying, count: vector };
  });
  const evaluations = places.map((points) => new Tile(code, kernel, addressing, points, []));
  // Loads first: they are all under way before the first result is needed.
  for (const evaluation of evaluations) evaluation.evaluate(kernel.body, 0, (x) => x.op === 'load' && early(kernel.loads[x.load].buffer));
  const allowed = awaitEarlier();
  for (const evaluation of evaluations) evaluation.evaluate(kernel.body, 0, (x) => x.op === 'load');
  for (const evaluation of evaluations) evaluation.evaluate(kernel.body, 0);
  for (const evaluation of evaluations) evaluation.store('body', allowed);
  code.label(end);
}

/** An elementwise kernel over the points of this block's rows, each of which is as many neighbouring points as any other. */
function printRows(
  { code, kernel, addressing }: Pick<KernelFrame, 'code' | 'kernel' | 'addressing'>,
  { vector, threads }: Pick<ElementwiseGeometry, 'vector' | 'threads'>,
  rows: { readonly all: number; readonly block: number },
  allowed: Operand | null,
): void {
  const tiles = sizeOf(kernel.domain) / vector;
  const each = (tiles / rows.all) * rows.block;
  const first = code.op('r', 'mul.lo.u32', code.op('r', 'mov.u32', '%ctaid.x'), each);
  const last = code.op('r', 'add.s32', first, each);
  const limit = rows.all % rows.block === 0 ? last : code.op('r', 'min.u32', last, tiles);
  const tile = code.op('r', 'add.s32', first, code.op('r', 'mov.u32', '%tid.x'));
  const [start, end] = [code.newLabel(), code.newLabel()];
  code.label(start);
  code.do('bra', [end], code.op('p', 'setp.ge.u32', tile, limit));
  const coordinates = decompose(code, tile, kernel.domain, neededLoops(kernel), vector);
  const evaluation = new Tile(code, kernel, addressing, { coordinates, varying: vector > 1 ? kernel.domain.length - 1 : -1, count: vector }, []);
  evaluation.evaluate(kernel.body, 0, (x) => x.op === 'load');
  evaluation.evaluate(kernel.body, 0);
  evaluation.store('body', allowed);
  if (each > threads) {
    code.do('add.s32', [tile, tile, threads]);
    code.do('bra', [start]);
  }
  code.label(end);
}
