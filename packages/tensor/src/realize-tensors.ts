import { realizeNodes } from './realize';
import type { Tensor } from './tensor';

/** Computes several tensors in one program: shared parts are computed once. */
export function realize(...tensors: readonly Tensor[]): void {
  realizeNodes(tensors.map((t) => t.node));
}
