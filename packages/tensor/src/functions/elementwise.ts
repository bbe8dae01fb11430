import { where as whereNode } from '../graph/build';
import { type Operand, operandNode, Tensor } from '../tensor';

/** a where `condition` (bool), else b. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : null;
  const node = (v: Operand): Tensor['node'] => (v instanceof Tensor ? v.node : operandNode(v, like ?? condition.cast('float32')));
  return new Tensor(whereNode(condition.node, node(a), node(b)));
}

export function relu(x: Tensor): Tensor {
  return x.maximum(0);
}

/** x · sigmoid(x), also called swish. */
export function silu(x: Tensor): Tensor {
  return x.mul(x.sigmoid());
}

/** Gaussian error linear unit: exact by default (S4, SaShiMi, GPT-NeoX), or the tanh form (H3, Hyena, GPT-2). */
export function gelu(x: Tensor, approximate: 'none' | 'tanh' = 'none'): Tensor {
  if (approximate === 'none') return x.mul(x.mul(Math.SQRT1_2).erf().add(1)).mul(0.5);
  const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
  return x.mul(inner.tanh().add(1)).mul(0.5);
}

/** Largest-subtracted softmax along `axis`. */
export function softmax(x: Tensor, axis = -1): Tensor {
  const e = x.sub(x.max(axis, true).stopGradient()).exp();
  return e.div(e.sum(axis, true));
}

export function logSoftmax(x: Tensor, axis = -1): Tensor {
  const shifted = x.sub(x.max(axis, true).stopGradient());
  return shifted.sub(shifted.exp().sum(axis, true).log());
}
