import { isFloat } from '../dtype';
import { GradientError } from '../errors';
import { constant, custom, mark } from '../graph/build';
import { type Node, nodesCreated, topologicalOrder } from '../graph/node';
import { formatShape, sameShape } from '../shape';
import { Tensor } from '../tensor';
import { gradientNodes } from './gradient-nodes';

/**
 * Gradients of a scalar `loss` with respect to each tensor of `wrt`, in order, each of the shape of its tensor.
 *
 * Call it before the loss is computed: a computed tensor forgets how it came about.
 *
 * @param options.allowUnused give zeros, instead of an error, where the loss does not depend on a tensor
 * @throws GradientError if the loss is not a float scalar or does not depend on an entry of `wrt`
 */
export function grad(loss: Tensor, wrt: readonly Tensor[], options: { allowUnused?: boolean } = {}): Tensor[] {
  if (loss.size !== 1 || !isFloat(loss.dtype)) {
    throw new GradientError(`grad: loss has shape ${formatShape(loss.shape)} and type ${loss.dtype}, expected one float (sum or average it)`);
  }
  const seed = constant(loss.device, 1, loss.dtype, loss.shape);
  return finish('grad', gradientNodes([loss.node], [seed], wrt.map((w) => w.node)), wrt, options.allowUnused ?? false);
}

/** Vector-Jacobian product: Σ outputs · cotangents, differentiated with respect to `wrt`. Tensors that do not matter get zeros. */
export function vjp(outputs: readonly Tensor[], cotangents: readonly Tensor[], wrt: readonly Tensor[]): Tensor[] {
  outputs.forEach((y, i) => {
    if (!cotangents[i] || !sameShape(y.shape, cotangents[i].shape)) {
      throw new GradientError(`vjp: cotangents[${i}] has shape ${cotangents[i] ? formatShape(cotangents[i].shape) : 'none'}, expected ${formatShape(y.shape)}`);
    }
  });
  const nodes = gradientNodes(outputs.map((y) => y.node), cotangents.map((c) => c.node), wrt.map((w) => w.node));
  return finish('vjp', nodes, wrt, true);
}

function finish(op: string, nodes: readonly (Tensor['node'] | null)[], wrt: readonly Tensor[], allowUnused: boolean): Tensor[] {
  return nodes.map((node, i) => {
    const w = wrt[i];
    if (!isFloat(w.dtype)) throw new GradientError(`${op}: wrt[${i}] is ${w.dtype}, expected a float type`);
    if (!node && !allowUnused) {
      throw new GradientError(
        `${op}: the loss does not depend on wrt[${i}] of shape ${formatShape(w.shape)} (was the loss, or something on the way to it, computed before grad was called?)`,
      );
    }
    return new Tensor(node ?? constant(w.device, 0, w.dtype, w.shape));
  });
}

/**
 * `forward(...args)` whose derivative is `backward` instead of that of what it computes.
 *
 * @param backward gets the gradients of the outputs (zeros where none arrived) and gives one gradient, or null, per argument
 */
export function customGradient<A extends readonly Tensor[]>(
  args: A,
  forward: (...args: A) => Tensor | readonly Tensor[],
  backward: (gradients: readonly Tensor[]) => readonly (Tensor | null)[],
): Tensor[] {
  const result = forward(...args);
  const outputs = result instanceof Tensor ? [result] : result;
  const nodes = outputs.map((y) => y.node);
  const made = custom(nodes, args.map((a) => a.node), (arrived) => {
    const gradients = arrived.map((g, i) => new Tensor(g ?? constant(nodes[i].device, 0, nodes[i].dtype, nodes[i].shape)));
    return backward(gradients).map((g) => g?.node ?? null);
  });
  return made.map((node) => new Tensor(node));
}

/**
 * `body(...args)`, recomputed in the backward pass instead of kept: memory for time. Gradients flow to `args` and to whatever else `body` uses
 * (parameters, tensors from outside).
 */
export function checkpoint<A extends readonly Tensor[], R extends Tensor | readonly Tensor[]>(body: (...args: A) => R, args: A): R {
  const firstInside = nodesCreated();
  const result = body(...args);
  const outputs: readonly Tensor[] = result instanceof Tensor ? [result] : (result as readonly Tensor[]);
  const inner = outputs.map((y) => y.node);
  const own = args.map((a) => a.node);
  const captured = enteringNodes(inner, firstInside).filter((n) => isFloat(n.dtype) && !own.includes(n));
  const made = custom(inner, [...own, ...captured], (arrived) => {
    // Behind a fence the second computation is not recognised as the first.
    const again = own.map((a) => new Tensor(mark(a, 'fence'))) as unknown as A;
    const rerun = body(...again);
    const roots = (rerun instanceof Tensor ? [rerun] : (rerun as readonly Tensor[])).map((y) => y.node);
    const present = roots.map((_, i) => i).filter((i) => arrived[i] !== null);
    const wrt = [...again.map((a) => a.node), ...captured];
    // Partial: what the arguments owe to the captured values is the rest of the backward pass's to count.
    return gradientNodes(present.map((i) => roots[i]), present.map((i) => arrived[i] as Node), wrt, true);
  });
  const tensors = made.map((node) => new Tensor(node));
  return (result instanceof Tensor ? tensors[0] : tensors) as R;
}

/** Nodes made before `firstInside` that the graph under `roots`, up to there, reads. */
function enteringNodes(roots: readonly Node[], firstInside: number): Node[] {
  const inside = topologicalOrder(roots, (n) => (n.id < firstInside ? [] : n.inputs));
  return inside.filter((n) => n.id < firstInside);
}
