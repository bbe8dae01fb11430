import type { Node } from '../graph/node';
import { sizeOf } from '../shape';
import type { RoutineCall } from './program';
import type { ResolvedGraph } from './resolve';
import { viewedInput } from './views';

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

/** What the backend says about fusion. */
export interface FusionLimits {
  readonly fuses: boolean;
  /** Most buffers that a kernel may touch. */
  readonly maxKernelBuffers: number;
  /** Matrix products take elementwise consumers into their own code. */
  readonly absorbsEpilogues: boolean;
  /** Products that are better computed by primitives; none if absent. */
  readonly lowersMatmul?: (call: RoutineCall) => boolean;
}

const viewKinds = new Set(['reshape', 'permute', 'expand', 'slice', 'pad']);

/**
 * Decides which values get memory of their own; all others are computed inside the kernels that use them.
 *
 * In memory: outputs, what routines read and write, reductions (unless lowering can make the consumer their epilogue), computed values that
 * are broadcast, and shared values that are dearer to recompute than to load.
 */
export function chooseBuffers(graph: ResolvedGraph, outputs: ReadonlySet<Node>, limits: FusionLimits): Set<Node> {
  const { fuses, maxKernelBuffers, absorbsEpilogues } = limits;
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
    const inputs = node.inputs.map((x) => graph.resolve(x));
    let sources = new Set<Node>();
    for (;;) {
      sources = new Set(inputs.flatMap((x) => (x.isLeaf || chosen.has(x) ? [x] : [...(reads.get(x) ?? [])])));
      // One more than the sources: the kernel stores its result.
      if (sources.size < maxKernelBuffers) break;
      const pending = inputs.filter((x) => !x.isLeaf && !chosen.has(x));
      chosen.add(pending.reduce((a, b) => ((reads.get(b)?.size ?? 0) > (reads.get(a)?.size ?? 0) ? b : a)));
    }
    const total = inputs.reduce((n, x) => n + (chosen.has(x) ? 0 : (cost.get(x) ?? 0)), ownCost(node));
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
      // A sum of product and residual that several read: the product's own code can leave it behind.
      memory ||= absorbsEpilogues && (use?.count ?? 0) > 1 && inputs.some((x) => isOnlyReadHere(x, uses));
    }
    if (memory) {
      chosen.add(node);
      cost.set(node, 0);
    }
    if (kind === 'reduce' && !memory) cost.set(node, total + 4);
  }
  return chosen;
}

/** Is this the result of a matrix product, as it is or reshaped, that nothing else reads? */
function isOnlyReadHere(given: Node, uses: ReadonlyMap<Node, Use>): boolean {
  let node = given;
  while (node.op.kind === 'reshape') node = node.inputs[0];
  if (node.op.kind !== 'pick' || uses.get(node)?.count !== 1) return false;
  const source = node.inputs[0].op;
  return source.kind === 'routine' && source.name === 'matmul';
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
    if (node.op.kind === 'routine') {
      // A view is read where it lies: in the larger value's memory.
      const { op } = node;
      const inputs = op.slots.map((slot) => (slot === null ? null : node.inputs[slot]));
      op.slots.forEach((slot, position) => {
        if (slot === null) return;
        const viewed = viewedInput(graph, op, inputs, position);
        const use = of(viewed ? viewed.base : graph.resolve(node.inputs[slot]));
        use.count++;
        use.routine = true;
      });
      continue;
    }
    for (const input of new Set(node.inputs.map((x) => graph.resolve(x)))) {
      const use = of(input);
      if (viewKinds.has(node.op.kind)) {
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
