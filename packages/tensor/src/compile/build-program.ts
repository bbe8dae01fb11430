import type { Backend } from '../backend';
import { DeviceError } from '../errors';
import type { Node } from '../graph/node';
import { inPlaceOutputs } from '../graph/routines';
import { finishKernel } from './collapse';
import { columnLoop } from './column-loop';
import { absorbEpilogues, epilogueKernel } from './epilogues';
import { flatten } from './index-map';
import type { Kernel } from './kernel';
import { type Buffer, KernelBuilder } from './kernel-builder';
import { planMemory } from './memory-plan';
import { mergeKernels } from './merge-kernels';
import type { Epilogue, Program, Slot, Step } from './program';
import { keepScanCheckpoints } from './scan-checkpoints';
import { type DraftRoutine, type DraftStep, reads, routineCall, schedule, writes } from './schedule';

/** A value that a program must leave in memory. */
export interface Result {
  readonly node: Node;
  /** The leaf whose memory it replaces (a variable that was assigned), or null for memory of its own. */
  readonly target: Node | null;
}

/** What the caller binds to `program.externals[i]`: an existing leaf, or the memory of result number `result`. */
export type Binding = { readonly leaf: Node } | { readonly result: number };

export interface BuiltProgram {
  readonly program: Program;
  readonly bindings: readonly Binding[];
}

/** Schedules the graph under `results` and lays out its memory. */
export function buildProgram(results: readonly Result[], backend: Backend): BuiltProgram {
  const builder = new ProgramBuilder(results, backend, true);
  const built = builder.build();
  // What scans keep for their backward passes saves time only: a program for which there is no room with it goes without.
  const fits = !builder.keepsCheckpoints || (backend.arenaFits?.(built.program.arenaBytes) ?? true);
  return fits ? built : new ProgramBuilder(results, backend, false).build();
}

class ProgramBuilder {
  private steps: DraftStep[];
  private readonly leaves: Map<Node, Buffer>;
  private readonly roots: readonly Buffer[];
  private readonly bindings: Binding[] = [];
  private readonly slots: Slot[] = [];
  private readonly slotOf = new Map<Buffer, number>();
  /** Buffers that the schedule does not know have numbers below 0. */
  private nextId = -1;
  /** Does a scan leave something for its backward pass? */
  readonly keepsCheckpoints: boolean;

  constructor(
    private readonly results: readonly Result[],
    private readonly backend: Backend,
    mayKeepCheckpoints: boolean,
  ) {
    const { fuses, maxKernelBuffers = Number.POSITIVE_INFINITY } = backend;
    const absorbsEpilogues = backend.absorbsEpilogue !== undefined;
    const scheduled = schedule(results.map((r) => r.node), {
      ...{ fuses, maxKernelBuffers, absorbsEpilogues },
      ...(fuses && backend.lowersMatmul ? { lowersMatmul: backend.lowersMatmul.bind(backend) } : {}),
    });
    this.steps = scheduled.steps;
    this.leaves = scheduled.leaves;
    this.roots = scheduled.roots;
    const kept = new Set(this.roots);
    if (fuses) this.steps = mergeKernels(this.steps, kept, maxKernelBuffers);
    if (mayKeepCheckpoints) this.steps = keepScanCheckpoints(this.steps, backend, () => this.nextId--);
    this.keepsCheckpoints = this.steps.some((s) => s.kind === 'routine' && s.op.name === 'selectiveScan' && s.outputs.length > 2);
    if (absorbsEpilogues) this.steps = absorbEpilogues(this.steps, kept, backend);
  }

  build(): BuiltProgram {
    const leafSlots = new Map<Node, number>();
    for (const [leaf, buffer] of this.leaves) {
      const slot = this.external(buffer.bytes, { leaf });
      leafSlots.set(leaf, slot);
      this.slotOf.set(buffer, slot);
    }
    this.placeResults(leafSlots);
    return this.finish();
  }

  /** Gives every result its external slot: directly where its producer may write there, else through a copy. */
  private placeResults(leafSlots: Map<Node, number>): void {
    const leafBuffers = new Set(this.leaves.values());
    const claimed = new Set<Buffer>();
    const head: DraftStep[] = [];
    const tail: DraftStep[] = [];
    this.results.forEach(({ target }, i) => {
      if (target) this.delayUpdate(this.roots[i], target);
    });
    this.results.forEach(({ target }, i) => {
      let source = this.roots[i];
      const slot = target ? (leafSlots.get(target) ?? this.external(source.bytes, { leaf: target })) : this.external(source.bytes, { result: i });
      if (target) leafSlots.set(target, slot);
      if (leafBuffers.has(source)) {
        // The leaf may itself be overwritten by this program: take its old value before anything runs.
        const saved = this.copyOf(source);
        head.push(this.copyStep(source, saved));
        source = saved;
        if (!target) {
          this.slotOf.set(saved, slot);
          return;
        }
      }
      const direct = !claimed.has(source) && !leafBuffers.has(this.roots[i]) && (!target || this.mayReplace(source, target));
      if (direct) {
        this.slotOf.set(source, slot);
        claimed.add(source);
      } else {
        const final = this.copyOf(source);
        this.slotOf.set(final, slot);
        tail.push(this.copyStep(source, final));
      }
    });
    this.steps = [...head, ...this.steps, ...tail];
  }

  /**
   * Moves the producer of a variable's new value behind the last reader of the old one, if nothing in between needs the new one: a weight's
   * update is ready before the backward pass has gone through the weight.
   */
  private delayUpdate(value: Buffer, target: Node): void {
    const old = this.leaves.get(target);
    const at = this.steps.findIndex((s) => writes(s).includes(value));
    if (!old || at < 0) return;
    const last = this.steps.findLastIndex((s) => reads(s).includes(old));
    const written = writes(this.steps[at]);
    if (this.steps.slice(at + 1, last + 1).some((s) => reads(s).some((b) => written.includes(b)))) return;
    if (last > at) this.steps.splice(last, 0, ...this.steps.splice(at, 1));
  }

  /** May the producer of `value` write over `target`? Only if all other readers of the old value ran before, and it reads in step itself. */
  private mayReplace(value: Buffer, target: Node): boolean {
    const old = this.leaves.get(target);
    if (!old) return true;
    const at = this.steps.findIndex((s) => writes(s).includes(value));
    if (at < 0) return false;
    for (let i = at; i < this.steps.length; i++) {
      const step = this.steps[i];
      if (step.kind === 'routine') {
        const position = step.inputs.indexOf(old);
        const aligned = i === at && inPlaceOutputs[step.op.name]?.[step.outputs.indexOf(value)] === position;
        if (position >= 0 && (!aligned || step.inputs.lastIndexOf(old) !== position)) return false;
      }
      const builder = step.kind === 'kernel' ? step.builder : step.epilogue;
      const loads = builder?.loads.filter((l) => l.buffer === old) ?? [];
      if (!builder || loads.length === 0) continue;
      if (i !== at || builder.reduces.length > 0 || old.dtype !== value.dtype) return false;
      const store = builder.stores.find((s) => s.access.buffer === value);
      const sameWalk = (l: (typeof loads)[number]): boolean =>
        l.guards.length === 0 && l.offset === store?.access.offset && l.strides.every((s, d) => s === store?.access.strides[d] || builder.domain[d] === 1);
      if (loads.every(sameWalk)) continue;
      const moves = this.backend.replacesColumns && step.kind === 'kernel' && store && columnLoop(builder.domain, loads, store.access) !== null;
      if (!moves) return false;
    }
    return true;
  }

  private copyOf(source: Buffer): Buffer {
    return { ...source, id: this.nextId-- };
  }

  private copyStep(source: Buffer, target: Buffer): DraftStep {
    const builder = new KernelBuilder([source.elements]);
    const at = flatten(builder.identity().rows, [source.elements], 1);
    const dtype = source.dtype === 'int32' || source.dtype === 'bool' ? source.dtype : 'float32';
    builder.store(target, at, builder.emitLoad(source, at, [], dtype));
    builder.label.push('copy');
    return { kind: 'kernel', builder };
  }

  private external(bytes: number, binding: Binding): number {
    this.bindings.push(binding);
    return this.slots.push({ kind: 'external', bytes, offset: 0, ...('leaf' in binding ? { outlives: true as const } : {}) }) - 1;
  }

  private finish(): BuiltProgram {
    const steps: Step[] = [];
    const temporaries = new Map<number, { bytes: number; first: number; last: number }>();
    const slot = (buffer: Buffer, at: number): number => {
      let s = this.slotOf.get(buffer);
      if (s === undefined) {
        s = this.slots.push({ kind: 'arena', bytes: buffer.bytes, offset: 0 }) - 1;
        this.slotOf.set(buffer, s);
        temporaries.set(s, { bytes: buffer.bytes, first: at, last: at });
      }
      const life = temporaries.get(s);
      if (life) life.last = at;
      return s;
    };
    for (const draft of this.steps) {
      const at = steps.length;
      if (draft.kind === 'kernel') {
        const { kernel, buffers } = finishKernel(draft.builder);
        if (kernel.domain.includes(0)) continue;
        const own = buffers.map((b) => slot(b, at));
        steps.push({ kind: 'kernel', kernel: withColumn(kernel, own), buffers: own, label: draft.builder.label });
        continue;
      }
      const call = routineCall(draft);
      const refusal = this.backend.refuses(call);
      if (refusal) throw new DeviceError(`${call.name}: the ${this.backend.name} device cannot run it: ${refusal}`);
      const inputs = draft.inputs.map((b) => (b ? slot(b, at) : null));
      const epilogue = this.epilogue(draft, (b) => slot(b, at));
      const outputs = draft.outputs.map((b, i) => slot(i === 0 && draft.epilogue ? draft.epilogue.stores[0].access.buffer : b, at));
      const bytes = this.backend.scratchBytes(call);
      let scratch: number | null = null;
      if (bytes > 0) {
        scratch = this.slots.push({ kind: 'arena', bytes, offset: 0 }) - 1;
        temporaries.set(scratch, { bytes, first: at, last: at });
      }
      steps.push({ kind: 'routine', call, inputs, outputs, ...(epilogue && { epilogue }), scratch });
    }
    const ids = [...temporaries.keys()];
    const plan = planMemory([...temporaries.values()], this.backend.arenaAlignment);
    ids.forEach((s, i) => {
      this.slots[s] = { ...this.slots[s], offset: plan.offsets[i] };
    });
    const externals = this.slots.map((s, i) => (s.kind === 'external' ? i : -1)).filter((i) => i >= 0);
    const key = JSON.stringify([this.slots, steps], (k, v) => (k === 'label' ? undefined : typeof v === 'number' && !Number.isFinite(v) ? String(v) : Object.is(v, -0) ? '-0' : v));
    return { program: { key, slots: this.slots, steps, arenaBytes: plan.bytes, externals }, bindings: this.bindings };
  }

  private epilogue(draft: DraftRoutine, slot: (buffer: Buffer) => number): Epilogue | null {
    if (!draft.epilogue) return null;
    const { kernel, buffers } = epilogueKernel(draft, draft.epilogue) as NonNullable<ReturnType<typeof epilogueKernel>>;
    return { kernel, buffers: buffers.map((b, i) => (i === 0 ? null : slot(b))), label: draft.epilogue.label };
  }
}

/** A kernel that moves elements within one slot gets the loop along which it does. */
function withColumn(kernel: Kernel, slots: readonly number[]): Kernel {
  for (const { access } of kernel.stores) {
    const moved = kernel.loads.filter((l) => slots[l.buffer] === slots[access.buffer] && (l.offset !== access.offset || l.strides.some((s, d) => s !== access.strides[d])));
    if (moved.length === 0) continue;
    const column = columnLoop(kernel.domain, moved, access);
    if (column !== null) return { ...kernel, column };
  }
  return kernel;
}
