import { binary, cast, expand, permute, reduce, reshape, unary } from '../graph/build';
import type { Node } from '../graph/node';
import { type Shape, sizeOf } from '../shape';
import { identityOf } from './identity';
import type { RoutineCall } from './program';

/**
 * A matrix product as Σ_k a·b in primitives: for products of very few rows, where a device gains more from having the norm in front and the
 * residual behind in the same kernel than from a tuned routine. Null if `node` is no such product, or the backend keeps it.
 */
export function sumOfProducts(node: Node, lowers: (call: RoutineCall) => boolean): Node | null {
  if (node.op.kind !== 'pick') return null;
  const [product] = node.inputs;
  if (product.op.kind !== 'routine' || product.op.name !== 'matmul') return null;
  const [a, b] = product.op.slots.map((slot) => product.inputs[slot as number]);
  const { attributes, outputs } = product.op;
  const call: RoutineCall = { name: 'matmul', attributes, inputs: [a, b].map(({ shape, dtype }) => ({ shape, dtype })), outputs };
  if (!lowers(call)) return null;
  const [batch, m, n] = outputs[0].shape;
  const rows = cast(attributes.transposeA ? permute(a, [0, 2, 1]) : a, 'float32');
  const columns = cast(attributes.transposeB ? b : permute(b, [0, 2, 1]), 'float32');
  const k = rows.shape[2];
  const whole = [batch, m, n, k];
  const right = expand(reshape(columns, [columns.shape[0], 1, n, k]), whole);
  const sum = (row: Node): Node => reduce('sum', binary('mul', expand(reshape(row, [row.shape[0], m, 1, k]), whole), right), [3]);
  const normed = batch * m === 1 ? normOfRow(rows) : null;
  return normed ? binary('mul', sum(reshape(normed.row, rows.shape)), normed.scaleOver(whole)) : sum(rows);
}

/** A row v·s whose one number s is computed from sums over the row itself, as norms do. */
interface NormedRow {
  /** v, shape (k). */
  readonly row: Node;
  /** s for every sum over the last axis of `shape` (…, k), its own sums taken along that same axis: so they join the kernel of such sums. */
  scaleOver(shape: Shape): Node;
}

/** The largest scale that is computed once more for every output, in graph nodes. */
const largestScale = 16;

function normOfRow(row: Node): NormedRow | null {
  const k = sizeOf(row.shape);
  const factors = factorsOf(row);
  const scales = factors.filter((f) => sizeOf(f.shape) === 1 && isScaleOfRow(f, k));
  const rest = factors.filter((f) => !scales.includes(f));
  const [first] = rest;
  if (scales.length === 0 || first === undefined || rest.some((f) => f.dtype !== 'float32' || (sizeOf(f.shape) !== k && sizeOf(f.shape) !== 1))) return null;
  const flat = rest.map((f) => (sizeOf(f.shape) === 1 ? expand(reshape(f, [1]), [k]) : reshape(f, [k])));
  return {
    row: flat.reduce((x, y) => binary('mul', x, y)),
    scaleOver: (shape) => scales.map((s) => forEveryOutput(s, shape)).reduce((x, y) => binary('mul', x, y)),
  };
}

/** What is multiplied to give this row; broadcasts and reshapes of single numbers and whole rows looked through. */
function factorsOf(given: Node): Node[] {
  let node = identityOf(given);
  while (node.op.kind === 'reshape' || (node.op.kind === 'expand' && sizeOf(node.inputs[0].shape) === 1)) node = identityOf(node.inputs[0]);
  return node.op.kind === 'binary' && node.op.op === 'mul' && node.dtype === 'float32' ? node.inputs.flatMap(factorsOf) : [node];
}

/** Arithmetic on single numbers around a sum of k numbers. */
function isScaleOfRow(scale: Node, k: number): boolean {
  let [sums, visited] = [0, 0];
  const visit = (given: Node): boolean => {
    const node = identityOf(given);
    if (++visited > largestScale || node.dtype !== 'float32') return false;
    if (node.op.kind === 'reduce') {
      if (node.op.op !== 'sum' || sizeOf(node.inputs[0].shape) !== k) return false;
      sums++;
      return true;
    }
    return node.op.kind === 'constant' || (['unary', 'binary', 'reshape', 'expand'].includes(node.op.kind) && node.inputs.every(visit));
  };
  return visit(scale) && sums > 0;
}

function forEveryOutput(given: Node, shape: Shape): Node {
  const node = identityOf(given);
  const outputs = shape.slice(0, -1);
  const inner = (x: Node): Node => forEveryOutput(x, shape);
  switch (node.op.kind) {
    case 'unary':
      return unary(node.op.op, inner(node.inputs[0]));
    case 'binary':
      return binary(node.op.op, inner(node.inputs[0]), inner(node.inputs[1]));
    case 'reduce':
      return reduce('sum', expand(reshape(node.inputs[0], [...outputs.map(() => 1), shape[shape.length - 1]]), shape), [shape.length - 1]);
    case 'reshape':
    case 'expand':
      return inner(node.inputs[0]);
    default:
      return expand(reshape(node, outputs.map(() => 1)), outputs);
  }
}
