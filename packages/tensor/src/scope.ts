import { TensorError } from './errors';
import type { Tensor } from './tensor';

const open: Set<Tensor>[] = [];

/** Called by every new tensor. */
export function register(tensor: Tensor): void {
  open[open.length - 1]?.add(tensor);
}

export function unregister(tensor: Tensor): void {
  for (const tensors of open) tensors.delete(tensor);
}

/**
 * Runs `body` and disposes every tensor made in it but those in its result (a tensor, or arrays and plain objects of them); these belong to the
 * scope around it, if any. Synchronous: values are read after it (`const y = scope(() => …); await y.data()`).
 *
 * @throws TensorError if `body` returns a promise: tensors of interleaved async code cannot be told apart.
 */
export function scope<T>(body: () => T): T {
  const tensors = new Set<Tensor>();
  open.push(tensors);
  let kept: Set<unknown> = new Set();
  let done = false;
  try {
    const result = body();
    if (typeof (result as { then?: unknown } | null)?.then === 'function') {
      throw new TensorError('scope: the function returned a promise; scopes are synchronous, read values after the scope');
    }
    kept = reachable(result);
    done = true;
    return result;
  } finally {
    open.pop();
    for (const tensor of tensors) {
      if (done && kept.has(tensor)) register(tensor);
      else tensor.dispose();
    }
  }
}

/** Everything a result holds, through arrays and plain objects. */
function reachable(value: unknown, found: Set<unknown> = new Set()): Set<unknown> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found;
  found.add(value);
  if ('node' in value && 'dispose' in value) return found;
  const items = Array.isArray(value) || value instanceof Set ? [...value] : value instanceof Map ? [...value.values()] : Object.values(value);
  for (const item of items) reachable(item, found);
  return found;
}
