import { ShapeError } from '../errors';
import { binary, pad } from '../graph/build';
import type { Node } from '../graph/node';
import { formatShape, normalizeAxis, sameShape } from '../shape';
import { Tensor } from '../tensor';

/** Tensors one after the other along `axis`. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  if (tensors.length === 0) throw new ShapeError('concat: tensors is empty, expected at least one');
  const first = tensors[0];
  const a = normalizeAxis(axis, first.shape.length, 'concat');
  const shape = [...first.shape];
  shape[a] = 0;
  tensors.forEach((t, i) => {
    const others = t.shape.map((d, d0) => (d0 === a ? 0 : d));
    if (!sameShape(others, first.shape.map((d, d0) => (d0 === a ? 0 : d)))) {
      throw new ShapeError(`concat: tensors[${i}] has shape ${formatShape(t.shape)}, which differs from ${formatShape(first.shape)} beyond axis ${a}`);
    }
    shape[a] += t.shape[a];
  });
  let at = 0;
  let joined: Node | null = null;
  // Each part is guarded loads of its own range; their sum is one kernel.
  for (const t of tensors) {
    const padded = pad(t.node, shape.map((_, d) => (d === a ? at : 0)), shape);
    joined = joined ? binary('add', joined, padded) : padded;
    at += t.shape[a];
  }
  return new Tensor(joined as Node);
}

/** Tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(tensors.map((t) => t.unsqueeze(axis)), axis < 0 ? axis : axis);
}

/** Consecutive parts of the given sizes along `axis`. */
export function split(x: Tensor, sizes: readonly number[], axis = -1): Tensor[] {
  const a = normalizeAxis(axis, x.shape.length, 'split');
  const total = sizes.reduce((s, n) => s + n, 0);
  if (total !== x.shape[a]) throw new ShapeError(`split: sizes (${sizes.join(', ')}) add up to ${total}, expected ${x.shape[a]} on axis ${axis} of ${formatShape(x.shape)}`);
  let at = 0;
  return sizes.map((n) => {
    const part = x.slice(a, at, at + n);
    at += n;
    return part;
  });
}
