import { byteSize } from '../dtype';
import type { Node, NodeOp } from '../graph/node';
import { sizeOf } from '../shape';
import { chooseBuffers, type FusionLimits } from './cost';
import { flatten } from './index-map';
import { type Buffer, KernelBuilder } from './kernel-builder';
import { type Buffers, Lowering } from './lower';
import type { RoutineCall, TensorSpec, View } from './program';
import { ResolvedGraph } from './resolve';
import { viewedInput } from './views';

/** A step before slots are assigned. */
export type DraftStep = DraftKernel | DraftRoutine;

export interface DraftKernel {
  readonly kind: 'kernel';
  readonly builder: KernelBuilder;
}

export interface DraftRoutine {
  readonly kind: 'routine';
  readonly op: Extract<NodeOp, { kind: 'routine' }>;
  readonly inputSpecs: readonly (TensorSpec | null)[];
  /** Which value each input is (`ResolvedGraph.nameOf`): unlike buffers, names differ between a value and what `checkpoint` computes from it again. */
  readonly inputNames: readonly (string | number | null)[];
  readonly inputs: readonly (Buffer | null)[];
  readonly outputs: readonly Buffer[];
  /** Where inputs lie inside their buffers; null for those that are the whole buffer. */
  readonly views: readonly (View | null)[];
  /** Elementwise kernel that takes the first output from registers (see epilogues.ts). */
  readonly epilogue?: KernelBuilder;
}

export function reads(step: DraftStep): readonly Buffer[] {
  if (step.kind === 'kernel') return step.builder.loads.map((l) => l.buffer);
  const inputs = step.inputs.filter((b) => b !== null);
  if (!step.epilogue) return inputs;
  return [...inputs, ...step.epilogue.loads.map((l) => l.buffer).filter((b) => b !== step.outputs[0])];
}

export function writes(step: DraftStep): readonly Buffer[] {
  if (step.kind === 'kernel') return step.builder.stores.map((s) => s.access.buffer);
  if (!step.epilogue) return step.outputs;
  return [...step.epilogue.stores.map((s) => s.access.buffer), ...step.outputs.slice(1)];
}

/** The call as backends see it. */
export function routineCall({ op, inputSpecs, views }: DraftRoutine): RoutineCall {
  return {
    name: op.name,
    attributes: op.attributes,
    inputs: inputSpecs.map((x, i) => (x ? { ...x, ...(views[i] && { view: views[i] }) } : null)),
    outputs: op.outputs,
  };
}

export interface Schedule {
  readonly steps: DraftStep[];
  /** Memory that exists before the steps run. */
  readonly leaves: Map<Node, Buffer>;
  /** Buffer of each root; a root that is a leaf has the leaf's. */
  readonly roots: readonly Buffer[];
}

/** Orders the graph under `roots` into kernels and routine calls. Inputs come before users; values are made shortly before their first use. */
export function schedule(roots: readonly Node[], limits: FusionLimits): Schedule {
  return new Scheduler(roots, limits).run();
}

class Scheduler implements Buffers {
  private readonly steps: DraftStep[] = [];
  private readonly leaves = new Map<Node, Buffer>();
  private readonly made = new Map<Node, Buffer>();
  private readonly routineOutputs = new Map<Node, Buffer[]>();
  private chosen: Set<Node> = new Set();
  private nextBuffer = 0;

  private readonly graph: ResolvedGraph;

  constructor(
    private readonly roots: readonly Node[],
    private readonly limits: FusionLimits,
  ) {
    this.graph = new ResolvedGraph(roots, limits.fuses, limits.lowersMatmul);
  }

  resolve(node: Node): Node {
    return this.graph.resolve(node);
  }

  run(): Schedule {
    const roots = this.roots.map((r) => this.resolve(r));
    this.chosen = chooseBuffers(this.graph, new Set(roots), this.limits);
    for (const node of this.graph.order) {
      if (node.op.kind === 'routine') this.routine(node);
      else if (this.chosen.has(node) && node.op.kind !== 'pick') this.require(node);
    }
    return { steps: this.steps, leaves: this.leaves, roots: roots.map((r) => this.require(r)) };
  }

  find(node: Node): Buffer | null {
    if (node.isLeaf) return this.leaf(node);
    return this.made.get(node) ?? (node.op.kind === 'pick' || this.chosen.has(node) ? this.require(node) : null);
  }

  require(given: Node): Buffer {
    const node = this.resolve(given);
    if (node.isLeaf) return this.leaf(node);
    const known = this.made.get(node);
    if (known) return known;
    let buffer: Buffer;
    if (node.op.kind === 'pick') {
      buffer = this.routine(node.inputs[0])[node.op.output];
    } else if (node.op.kind === 'reshape' && this.find(this.resolve(node.inputs[0]))) {
      buffer = this.require(node.inputs[0]); // the same bytes
    } else {
      buffer = this.kernel(node);
    }
    this.made.set(node, buffer);
    return buffer;
  }

  private leaf(node: Node): Buffer {
    let buffer = this.leaves.get(node);
    if (!buffer) this.leaves.set(node, (buffer = this.buffer(node)));
    return buffer;
  }

  private buffer(node: { shape: readonly number[]; dtype: Node['dtype'] }): Buffer {
    const elements = sizeOf(node.shape);
    return { id: this.nextBuffer++, bytes: elements * byteSize(node.dtype), dtype: node.dtype, elements };
  }

  private kernel(node: Node): Buffer {
    const buffer = this.buffer(node);
    if (buffer.elements === 0) return buffer;
    const builder = new KernelBuilder(node.shape);
    const at = builder.identity();
    const value = new Lowering(builder, this).root(node);
    builder.store(buffer, flatten(at.rows, node.shape, builder.domain.length), value);
    this.steps.push({ kind: 'kernel', builder });
    return buffer;
  }

  private routine(node: Node): Buffer[] {
    const known = this.routineOutputs.get(node);
    if (known) return known;
    const op = node.op as Extract<NodeOp, { kind: 'routine' }>;
    const inputNodes = op.slots.map((s) => (s === null ? null : node.inputs[s]));
    const viewed = inputNodes.map((_, position) => viewedInput(this.graph, op, inputNodes, position));
    const inputs = inputNodes.map((x, i) => (x ? this.require(viewed[i]?.base ?? x) : null));
    const views = viewed.map((v) => v?.view ?? null);
    const outputs = op.outputs.map((spec) => this.buffer(spec));
    this.routineOutputs.set(node, outputs);
    const inputSpecs = inputNodes.map((x) => x && { shape: x.shape, dtype: x.dtype });
    const inputNames = inputNodes.map((x) => x && this.graph.nameOf(x));
    this.steps.push({ kind: 'routine', op, inputSpecs, inputNames, inputs, views, outputs });
    return outputs;
  }
}
