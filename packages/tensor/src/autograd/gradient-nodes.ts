import { isFloat } from '../dtype';
import { GradientError } from '../errors';
import { binary, cast, pick } from '../graph/build';
import { type Node, type NodeOp, topologicalOrder } from '../graph/node';
import { formatShape } from '../shape';
import { primitiveVjps } from './primitive-vjps';
import { routineVjps } from './routine-vjps';

/**
 * Reverse-mode differentiation as a function over the graph: d (Σ roots · seeds) / d wrt, one node per entry of `wrt`, null where the roots do
 * not depend on it. Only the part of the graph between `wrt` and the roots is walked.
 *
 * @param partial takes the entries of `wrt` as independent of each other, whatever they are made of: partial derivatives
 */
export function gradientNodes(roots: readonly Node[], seeds: readonly Node[], wrt: readonly Node[], partial: boolean = false): (Node | null)[] {
  const ends = new Set(partial ? wrt : []);
  const order = topologicalOrder(roots, (n) => (ends.has(n) ? [] : n.inputs));
  const depends = dependents(order, new Set(wrt));
  const gradients = new Map<Node, Node>();
  const outputGradients = new Map<Node, (Node | null)[]>();
  const add = (node: Node, g: Node | null): void => {
    if (!g || !depends.has(node) || !isFloat(node.dtype)) return;
    const before = gradients.get(node);
    gradients.set(node, before ? binary('add', before, g) : g);
  };
  roots.forEach((root, i) => add(root, seeds[i]));
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i];
    if (!depends.has(node) || node.isLeaf || ends.has(node)) continue;
    const op = node.op;
    if (op.kind === 'routine' || op.kind === 'custom') {
      const arrived = outputGradients.get(node);
      if (!arrived) continue;
      const result = op.kind === 'custom' ? customGradients(node, op, arrived) : routineGradients(node, op, arrived);
      result.forEach((g, k) => add(node.inputs[k], g));
      continue;
    }
    const g = gradients.get(node);
    if (!g) continue;
    if (op.kind === 'pick') {
      const source = node.inputs[0];
      const count = source.op.kind === 'routine' ? source.op.outputs.length : (source.op as Extract<NodeOp, { kind: 'custom' }>).outputs;
      const list = outputGradients.get(source) ?? new Array<Node | null>(count).fill(null);
      // Several picks of one output may exist: their gradients add up.
      const before = list[op.output];
      list[op.output] = before ? binary('add', before, g) : g;
      outputGradients.set(source, list);
      continue;
    }
    primitiveVjps[op.kind]?.(g, node).forEach((gi, k) => add(node.inputs[k], gi));
  }
  return wrt.map((w) => gradients.get(w) ?? null);
}

function dependents(order: readonly Node[], wrt: ReadonlySet<Node>): Set<Node> {
  const depends = new Set<Node>();
  for (const node of order) {
    if (wrt.has(node)) depends.add(node);
    else if (node.op.kind === 'stopGradient') continue;
    else if (node.op.kind === 'custom' ? node.inputs.slice(node.op.outputs).some((x) => depends.has(x)) : node.inputs.some((x) => depends.has(x))) depends.add(node);
  }
  return depends;
}

function customGradients(node: Node, op: Extract<NodeOp, { kind: 'custom' }>, arrived: readonly (Node | null)[]): (Node | null)[] {
  const args = node.inputs.slice(op.outputs);
  const result = op.vjp(arrived);
  if (result.length !== args.length) throw new GradientError(`customGradient: the gradient function returned ${result.length} gradients, expected ${args.length}`);
  result.forEach((g, k) => {
    if (g && g.shape.join() !== args[k].shape.join()) {
      throw new GradientError(`customGradient: gradient ${k} has shape ${formatShape(g.shape)}, expected ${formatShape(args[k].shape)}`);
    }
  });
  return [...new Array<null>(op.outputs).fill(null), ...result];
}

function routineGradients(node: Node, op: Extract<NodeOp, { kind: 'routine' }>, arrived: readonly (Node | null)[]): (Node | null)[] {
  const rule = routineVjps[op.name];
  if (!rule) {
    if (op.name === 'argmax') return node.inputs.map(() => null);
    throw new GradientError(`grad: ${op.name} has no gradient (second derivatives of scans and convolutions are not available)`);
  }
  const outputs = op.outputs.map((_, i) => pick(node, i));
  const byPosition = rule({ gradients: arrived, inputs: op.slots.map((s) => (s === null ? null : node.inputs[s])), outputs, attributes: op.attributes });
  const result = new Array<Node | null>(node.inputs.length).fill(null);
  op.slots.forEach((s, position) => {
    const g = byPosition[position];
    // Rules give float32; the gradient of a half-precision input has its type, as that of a cast in front would.
    if (s !== null && g) result[s] = cast(g, node.inputs[s].dtype);
  });
  return result;
}
