import type { Node } from '../graph/node';

/** Looks through nodes that only mean something to autograd: the value they stand for. */
export function identityOf(node: Node): Node {
  let n = node;
  for (;;) {
    if (n.op.kind === 'stopGradient' || n.op.kind === 'fence' || n.op.kind === 'derived') n = n.inputs[0];
    else if (n.op.kind === 'pick' && n.inputs[0].op.kind === 'custom') n = n.inputs[0].inputs[n.op.output];
    else return n;
  }
}
