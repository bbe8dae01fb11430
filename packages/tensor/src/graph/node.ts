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
 * no references is dormant and keeps nothing alive, so abandoned expressions (unused gradients) cost nothing. When a value was computed, the
 * nodes in between let go of their inputs: a forgotten temporary tensor never pins memory.
 */
export class Node {
  readonly id: number = created++;
  /** Device memory of the value, once computed (or uploaded). */
  buffer: DeviceBuffer | null = null;
  private references = 0;
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

  /** A tensor or a live node starts to use this value. */
  retain(): void {
    const stack: Node[] = [this];
    while (stack.length > 0) {
      const node = stack.pop() as Node;
      node.references++;
      if (node.references === 1 && !node.holdsInputs && node.inputs.length > 0) {
        node.holdsInputs = true;
        for (const input of node.inputs) stack.push(input);
      }
    }
  }

  /** The opposite of `retain`; the last one frees the memory. */
  release(): void {
    const stack: Node[] = [this];
    while (stack.length > 0) {
      const node = stack.pop() as Node;
      node.references--;
      if (node.references > 0) continue;
      if (node.holdsInputs) {
        node.holdsInputs = false;
        for (const input of node.inputs) stack.push(input);
      }
      if (node.buffer) {
        node.device.freeBuffer(node.buffer);
        node.buffer = null;
        node.freed = true;
      }
    }
  }

  /** The value was computed into `buffer`: the node is a leaf from now on. */
  settle(buffer: DeviceBuffer): void {
    const inputs = this.inputs;
    const held = this.holdsInputs;
    this.buffer = buffer;
    this.op = { kind: 'leaf' };
    this.inputs = [];
    this.holdsInputs = false;
    if (held) for (const input of inputs) input.release();
  }

  /** A value that was computed through on the way to another: it stays recomputable, but no longer keeps its inputs alive. */
  letGo(): void {
    if (!this.holdsInputs) return;
    this.holdsInputs = false;
    for (const input of this.inputs) input.release();
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
