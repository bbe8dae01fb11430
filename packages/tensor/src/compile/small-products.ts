import { cast, expand, binary, permute, reduce, reshape } from '../graph/build';
import type { Node } from '../graph/node';
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
  const left = expand(reshape(rows, [rows.shape[0], m, 1, k]), whole);
  const right = expand(reshape(columns, [columns.shape[0], 1, n, k]), whole);
  return reduce('sum', binary('mul', left, right), [3]);
}
