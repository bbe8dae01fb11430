import { type Node, topologicalOrder } from '../graph/node';
import { identityOf } from './identity';
import type { RoutineCall } from './program';
import { sumOfProducts } from './small-products';

/**
 * Older ones first. Of what a step of the backward pass needs, the gradient from above is older than what `checkpoint` computes again for it: so
 * that is computed when the gradient is there, not with all others at the start.
 */
function asMade(nodes: Node[]): Node[] {
  return nodes.length > 1 ? nodes.sort((a, b) => a.id - b.id) : nodes;
}

/** The graph under some roots with autograd's identities removed and equal expressions merged. */
export class ResolvedGraph {
  /** Inputs before users; only nodes that compute something or are leaves. */
  readonly order: readonly Node[];
  private readonly canonical = new Map<Node, Node>();

  /** Products that are computed as sums instead. */
  private readonly lowered = new Map<Node, Node>();
  private readonly products = new Set<Node>();

  /** @param lowers asks for a product to be computed by primitives (see small-products.ts) */
  constructor(
    roots: readonly Node[],
    mergeEqual: boolean,
    private readonly lowers?: (call: RoutineCall) => boolean,
  ) {
    const full = topologicalOrder(roots.map((r) => this.standsFor(r)), (n) => n.inputs.map((x) => this.standsFor(x)));
    if (mergeEqual) this.mergeEqual(full);
    this.order = mergeEqual ? topologicalOrder(roots.map((r) => this.resolve(r)), (n) => asMade(n.inputs.map((i) => this.resolve(i)))) : full;
  }

  resolve(node: Node): Node {
    const n = this.standsFor(node);
    return this.canonical.get(n) ?? n;
  }

  /** Is this a product that is computed by primitives? */
  isProduct(node: Node): boolean {
    return this.products.has(node);
  }

  private standsFor(node: Node): Node {
    const n = identityOf(node);
    if (!this.lowers || n.op.kind !== 'pick') return n;
    const known = this.lowered.get(n);
    if (known) return known;
    const sum = sumOfProducts(n, this.lowers);
    this.lowered.set(n, sum ?? n);
    if (sum) this.products.add(sum);
    return sum ?? n;
  }

  /** Names a value: equal values have one name. Behind a fence it has another than before it. */
  nameOf(given: Node): string | number {
    let n = given;
    while (n.op.kind === 'stopGradient' || n.op.kind === 'derived' || (n.op.kind === 'pick' && n.inputs[0].op.kind === 'custom')) {
      n = n.op.kind === 'pick' ? n.inputs[0].inputs[n.op.output] : n.inputs[0];
    }
    return n.op.kind === 'fence' ? `f${n.id}` : this.resolve(n).id;
  }

  /** Behind a fence nothing is equal to anything before it: that keeps recomputation (checkpoint) from being merged away. */
  private mergeEqual(order: readonly Node[]): void {
    const seen = new Map<string, Node>();
    for (const node of order) {
      if (node.isLeaf) continue;
      const inputs = node.inputs.map((input) => this.nameOf(input));
      const key = `${JSON.stringify(node.op, nonFinite)}|${node.dtype}|${node.shape.join()}|${inputs.join()}`;
      const first = seen.get(key);
      if (first) this.canonical.set(node, first);
      else seen.set(key, node);
    }
  }
}

function nonFinite(_: string, value: unknown): unknown {
  return typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? '-0' : String(value)) : value;
}
