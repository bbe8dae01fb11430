import type { Node } from './graph/node';
import { formatShape } from './shape';

type Report = (message: string) => void;

let registry: FinalizationRegistry<Node> | null = null;

/**
 * While on, tells (once each) when a tensor that holds device memory is garbage-collected without `dispose()`, `using` or a scope having
 * released it. It only reports: memory is never freed behind a program's back. Slows the creation of tensors; for development.
 *
 * @param report where to tell, e.g. `console.warn`; null switches it off
 */
export function reportLeaks(report: Report | null): void {
  registry =
    report &&
    new FinalizationRegistry((node) => {
      if (!node.buffer) return;
      report(`leak: a ${node.dtype} tensor of shape ${formatShape(node.shape)} on ${node.device.name} (${node.buffer.bytes} bytes) was dropped without dispose()`);
    });
}

/** Called for every new tensor. */
export function watch(tensor: object, node: Node): void {
  registry?.register(tensor, node, tensor);
}

export function unwatch(tensor: object): void {
  registry?.unregister(tensor);
}
