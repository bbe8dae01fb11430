import type { DeviceBuffer } from '../backend';
import type { BinaryOp, ReduceOp, UnaryOp } from '../compile/kernel';
import type { TensorSpec } from '../compile/program';
import type { Device } from '../device';
import type { DType } from '../dtype';
import { DisposedError } from '../errors';
import type { Shape } from '../shape';
import type { RoutineName } from './routines';

/** What a node computes. Sources and views carry their attributes here; see primitives.ts for the meaning of each. */
export type NodeOp =
  | { readonly kind: 'leaf' }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'index'; readonly axis: number }
  | { readonly kind: 'unary'; readonly op: UnaryOp }
  | { readonly kind: 'binary'; readonly op: BinaryOp }
  | { readonly kind: 'where' }
  | { readonly kind: 'cast' }
  | { readonly kind: 'threefry'; readonly lane: 0 | 1 }
  | { readonly kind: 'reshape' }
  | { readonly kind: 'permute'; readonly axes: readonly number[] }
  | { readonly kind: 'expand' }
  | { readonly kind: 'slice'; readonly starts: readonly number[]; readonly steps: readonly number[] }
  | { readonly kind: 'pad'; readonly before: readonly number[] }
  | { readonly kind: 'reduce'; readonly op: ReduceOp; readonly axes: readonly number[] }
  | {
      readonly kind: 'routine';
      readonly name: RoutineName;
      readonly attributes: Readonly<Record<string, number | boolean>>;
      /** Which optional inputs are present: position in the routine's argument list → index into `inputs`, or null. */
      readonly slots: readonly (number | null)[];
      readonly outputs: readonly TensorSpec[];
    }
  | { readonly kind: 'pick'; readonly output: number }
  | { readonly kind: 'stopGradient' }
  /** Same values, never merged with an equal expression: what `checkpoint` recomputes from. */
  | { readonly kind: 'fence' }
  /** Same value; a compiled step may keep it between calls (compile/derived-values.ts). */
  | { readonly kind: 'derived' }
  /** Values of the first `outputs` inputs; `vjp` replaces their derivative with respect to the remaining inputs. Picked like a routine. */
  | { readonly kind: 'custom'; readonly outputs: number; readonly vjp: NodeVjp };

/** Gradients of a custom node's outputs (null: none arrived) → gradients of its arguments (null: none). */
export type NodeVjp = (gradients: readonly (Node | null)[]) => readonly (Node | null)[];

let created = 0;

/** Graph nodes created so far, over all devices: compiled steps must not move it. */
export function nodesCreated(): number {
  return created;
}

/**
 * One value of the graph: immutable but for its memory.
 *
 * Lifetime is counted, without the garbage collector's help: `references` = live tensors on this node + live nodes that read it. A node with
 * no references is dormant and keeps nothing alive, so abandoned expressions (unused gradients) cost nothing. When a value was computed, nodes
 * on the way to it that nothing else is waiting for let go of their inputs: a forgotten temporary tensor never pins memory.
 */
export class Node {
  readonly id: number = created++;
  /** Device memory of the value, once computed (or uploaded). */
  buffer: DeviceBuffer | null = null;
  private references = 0;
  /** How many of the references are live nodes. */
  private readers = 0;
  private holdsInputs = false;
  private freed = false;

  constructor(
    readonly device: Device,
    public op: NodeOp,
    public inputs: readonly Node[],
    readonly shape: Shape,
    readonly dtype: DType,
  ) {}

  get isLeaf(): boolean {
    return this.op.kind === 'leaf';
  }

  get referenceCount(): number {
    return this.references;
  }

  /** A tensor starts to use this value; a dormant node comes alive and becomes a reader of its inputs. */
  retain(): void {
    this.references++;
    const woken: Node[] = [this];
    while (woken.length > 0) {
      const node = woken.pop() as Node;
      if (node.holdsInputs || node.inputs.length === 0) continue;
      node.holdsInputs = true;
      for (const input of node.inputs) {
        input.references++;
        input.readers++;
        if (input.references === 1) woken.push(input);
      }
    }
  }

  /** The opposite of `retain`; the last one frees the memory. */
  release(): void {
    this.references--;
    if (this.references === 0) Node.free([this]);
  }

  /** Nodes without references: their memory goes, and they stop being readers, which may leave others without references. */
  private static free(unreferenced: Node[]): void {
    while (unreferenced.length > 0) {
      const node = unreferenced.pop() as Node;
      if (node.holdsInputs) {
        node.holdsInputs = false;
        unreferenced.push(...Node.leave(node.inputs));
      }
      if (node.buffer) {
        node.device.freeBuffer(node.buffer);
        node.buffer = null;
        node.freed = true;
      }
    }
  }

  /** A reader of `inputs` is gone; gives those that nobody uses any more. */
  private static leave(inputs: readonly Node[]): Node[] {
    const unused: Node[] = [];
    for (const input of inputs) {
      input.references--;
      input.readers--;
      if (input.references === 0) unused.push(input);
    }
    return unused;
  }

  /** The value was computed into `buffer`: the node is a leaf from now on. */
  settle(buffer: DeviceBuffer): void {
    const { inputs } = this;
    this.buffer = buffer;
    this.op = { kind: 'leaf' };
    this.inputs = [];
    if (!this.holdsInputs) return;
    this.holdsInputs = false;
    Node.free(Node.leave(inputs));
  }

  /**
   * A value that was computed through on the way to another: it stays recomputable, but no longer keeps its inputs alive, unless a live node
   * still has to be computed from it.
   */
  letGo(): void {
    if (!this.holdsInputs || this.readers > 0) return;
    this.holdsInputs = false;
    Node.free(Node.leave(this.inputs));
  }

  /** The memory of a leaf. @throws DisposedError if it was freed. */
  memory(): DeviceBuffer {
    if (!this.buffer) {
      throw new DisposedError(
        this.freed
          ? 'a tensor was used after dispose() (or after the inputs it would be recomputed from were disposed)'
          : 'a tensor without memory was used',
      );
    }
    return this.buffer;
  }
}

/** Nodes reachable from `roots`, inputs before users. Iterative: graphs are thousands deep. */
export function topologicalOrder(roots: readonly Node[], inputsOf: (node: Node) => readonly Node[] = (n) => n.inputs): Node[] {
  const order: Node[] = [];
  const state = new Map<Node, number>();
  const stack: Node[] = [];
  for (const root of roots) {
    stack.push(root);
    while (stack.length > 0) {
      const node = stack[stack.length - 1];
      const next = state.get(node) ?? 0;
      if (next < 0) {
        stack.pop();
        continue;
      }
      const inputs = inputsOf(node);
      if (next < inputs.length) {
        state.set(node, next + 1);
        const input = inputs[next];
        if (!state.has(input)) stack.push(input);
      } else {
        state.set(node, -1);
        order.push(node);
        stack.pop();
      }
    }
  }
  return order;
}
