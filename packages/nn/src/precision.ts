import { customGradient, OutOfRangeError, type Tensor } from '@mamba-ts/tensor';

/** What the operands of matrix products are rounded to. */
export type Precision = 'float32' | 'bfloat16' | 'float16';

const precisions: readonly Precision[] = ['float32', 'bfloat16', 'float16'];
let current: Precision = 'float32';

/**
 * Builds what `body` builds with matrix products in this precision: the operands of `Linear`, language model heads and Δ's projection are rounded to
 * it, forward and backward, and summed in float32. Everything else stays float32: the parameters (so that the optimizer updates float32 master
 * weights), their gradients, states, norms, Δ, A and the residual stream. It is a setting of the graph, so wrap what computes the loss:
 *
 *     const step = compile(() => {
 *       const loss = withPrecision('bfloat16', () => model.loss(ids, targets));
 *       optimizer.update(grad(loss, optimizer.parameters));
 *       return loss;
 *     });
 *
 * Use bfloat16 for training: it has float32's range. The gradients of float16 products are rounded to float16 and small ones are lost.
 */
export function withPrecision<R>(precision: Precision, body: () => R): R {
  if (!precisions.includes(precision)) {
    throw new OutOfRangeError(`withPrecision: precision is ${String(precision)}, expected ${precisions.join(', ')}`);
  }
  const before = current;
  current = precision;
  try {
    return body();
  } finally {
    current = before;
  }
}

/**
 * x Wᵀ over the last axis, in the precision that is set ({@link withPrecision}): what layers with a weight matrix multiply by.
 *
 * @param x (…, inputs), at least two axes
 * @param weight (outputs, inputs)
 * @returns (…, outputs), float32
 */
export function project(x: Tensor, weight: Tensor): Tensor {
  const dtype = current;
  if (dtype === 'float32') return x.matmul(weight, { transposeB: true });
  const operands = [x.cast(dtype), weight.cast(dtype)] as const;
  const [y] = customGradient<readonly [Tensor, Tensor]>(
    [x, weight],
    () => operands[0].matmul(operands[1], { transposeB: true }),
    ([gradient]) => {
      const [rows, matrix] = operands;
      const [outputs, inputs] = matrix.shape;
      const g = gradient.cast(dtype);
      const tall = g.reshape(g.size / outputs, outputs);
      return [
        g.matmul(matrix).cast(x.dtype),
        tall.matmul(rows.reshape(rows.size / inputs, inputs), { transposeA: true }).cast(weight.dtype),
      ];
    },
  );
  return y;
}
