import { TensorError } from './errors';
import type { DeviceBuffer } from './backend';
import type { Node } from './graph/node';
import { formatShape } from './shape';
import type { Variable } from './variable';

/** What `compile` collects while it calls the user's function once. */
export interface Trace {
  /** Variables that were read, by the leaf that held their value. */
  readonly read: Map<Node, Variable>;
  /** The value each variable will have after the step; later reads in the trace see it. */
  readonly assigned: Map<Variable, Node>;
}

let active: Trace | null = null;

/** The trace being recorded, or null outside `compile`. */
export function activeTrace(): Trace | null {
  return active;
}

export function withTrace<T>(trace: Trace, run: () => T): T {
  if (active) throw new TensorError('compile: a compiled function was traced inside another; call the plain function there instead');
  active = trace;
  try {
    return run();
  } finally {
    active = null;
  }
}

/** Refuses what needs a value while there are none. */
export function forbidInTrace(what: string): void {
  if (active) throw new TensorError(`${what} needs the value of a tensor, which does not exist while compile() traces the function: return the tensor instead`);
}

/**
 * Where the value of a leaf that a trace read lives now: variables get other memory when they are assigned outside the step.
 *
 * @throws TensorError if the variable was converted to another type since
 */
export function currentMemory(leaf: Node, trace: Trace): DeviceBuffer {
  const variable = trace.read.get(leaf);
  if (!variable) return leaf.memory();
  if (variable.dtype !== leaf.dtype) {
    throw new TensorError(
      `compiled step: a variable of shape ${formatShape(variable.shape)} is ${variable.dtype}, but was ${leaf.dtype} when the step was traced; compile it again`,
    );
  }
  return variable.leaf.memory();
}
