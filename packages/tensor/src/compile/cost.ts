import type { Node } from '../graph/node';
import { sizeOf } from '../shape';
import type { ResolvedGraph } from './resolve';

const expensive = new Set(['exp', 'expm1', 'log', 'log1p', 'sin', 'cos', 'tanh', 'erf', 'sigmoid', 'softplus', 'pow']);

/** Rough scalar operations per element: what recomputing a value costs. */
function ownCost(node: Node): number {
  switch (node.op.kind) {
    case 'unary':
    case 'binary':
      return expensive.has(node.op.op) ? 8 : node.op.op === 'div' || node.op.op === 'sqrt' || node.op.op === 'rsqrt' || node.op.op === 'reciprocal' ? 3 : 1;
    case 'where':
    case 'cast':
      return 1;
    case 'threefry':
      return 40;
    default:
      return 0;
  }
}

/** Recompute a shared value if that takes at most this many operations … */
const recomputeCost = 20;
/** … and reads at most this many tensors; otherwise it goes to memory once. */
const recomputeReads = 2;
/** A kernel's expression stops growing here. */
const largestExpression = 160;

const viewKinds = new Set(['reshape', 'permute', 'expand', 'slice', 'pad']);

/**
 * Decides which values get memory of their own; all others are computed inside the kernels that use them.
 *
 * In memory: outputs, what routines read and write, reductions (unless lowering can make the consumer their epilogue), computed values that
 * are broadcast, and shared values that are dearer to recompute than to load.
 */
export function chooseBuffers(graph: ResolvedGraph, outputs: ReadonlySet<Node>, fuses: boolean): Set<Node> {
  const chosen = new Set<Node>();
  const uses = countUses(graph);
  const cost = new Map<Node, number>();
  const reads = new Map<Node, Set<Node>>();
  for (const node of graph.order) {
    const kind = node.op.kind;
    if (kind === 'leaf' || kind === 'routine') continue;
    if (kind === 'pick') {
      chosen.add(node);
      continue;
    }
    let total = ownCost(node);
    const sources = new Set<Node>();
    for (const given of node.inputs) {
      const input = graph.resolve(given);
      if (input.isLeaf || chosen.has(input)) {
        sources.add(input);
      } else {
        total += cost.get(input) ?? 0;
        for (const s of reads.get(input) ?? []) sources.add(s);
      }
    }
    cost.set(node, total);
    reads.set(node, sources);
    const use = uses.get(node);
    const isView = viewKinds.has(kind);
    const computed = total > 0 || kind === 'reduce';
    const source = kind === 'constant' || kind === 'index';
    let memory = outputs.has(node) || (use?.routine ?? false);
    if (!fuses) memory ||= !source || use !== undefined;
    if (kind === 'reduce') memory ||= (use?.count ?? 0) > 1 || (use?.expanded ?? false) || total > 0 && sizeOf(node.inputs[0].shape) === 0;
    else if (!isView && computed) {
      memory ||= (use?.expanded ?? false) && total >= 4;
      memory ||= (use?.count ?? 0) > 1 && (total > recomputeCost || sources.size > recomputeReads);
      memory ||= total > largestExpression;
    }
    if (memory) {
      chosen.add(node);
      cost.set(node, 0);
    }
    if (kind === 'reduce' && !memory) cost.set(node, total + 4);
  }
  return chosen;
}

interface Use {
  /** Computing consumers; views pass their own consumers on. */
  count: number;
  /** Broadcast to more elements by a consumer. */
  expanded: boolean;
  /** Read by a routine, directly or through reshapes. */
  routine: boolean;
}

function countUses(graph: ResolvedGraph): Map<Node, Use> {
  const uses = new Map<Node, Use>();
  const of = (node: Node): Use => {
    let use = uses.get(node);
    if (!use) uses.set(node, (use = { count: 0, expanded: false, routine: false }));
    return use;
  };
  for (let i = graph.order.length - 1; i >= 0; i--) {
    const node = graph.order[i];
    const own = of(node);
    for (const input of new Set(node.inputs.map((x) => graph.resolve(x)))) {
      const use = of(input);
      if (node.op.kind === 'routine') {
        use.count++;
        use.routine = true;
      } else if (viewKinds.has(node.op.kind)) {
        use.count += own.count;
        use.expanded ||= own.expanded || (node.op.kind === 'expand' && sizeOf(node.shape) > sizeOf(input.shape));
        if (node.op.kind === 'reshape') use.routine ||= own.routine;
      } else {
        use.count++;
      }
    }
  }
  return uses;
}
