import type { Device } from './device';
import { byteSize, type DType, type HostArray, isFloat } from './dtype';
import { DTypeError, ShapeError } from './errors';
import { cast } from './graph/build';
import { Node } from './graph/node';
import { realizeNodes } from './realize';
import { formatShape, sameShape, sizeOf } from './shape';
import { Tensor } from './tensor';
import { activeTrace, forbidInTrace } from './trace';

/**
 * A tensor whose value can be replaced: parameters, optimiser moments, SSM states, the random counter, input batches.
 *
 * Inside `compile`, `assign` updates the memory in place at each replay. Outside, the new value gets memory of its own, so that pending
 * expressions still see the old one.
 */
export class Variable extends Tensor {
  /** Free-form notes that an optimiser or a checkpoint reads, e.g. `{ weightDecay: 0 }`. */
  readonly metadata: Record<string, unknown> = {};
  /** @internal Counts changes of the value: what was derived from it is out of date after one. */
  version = 0;

  /** The current value; in a trace, what was assigned there. */
  override get node(): Node {
    const trace = activeTrace();
    if (!trace) return super.node;
    const assigned = trace.assigned.get(this);
    if (assigned) return assigned;
    trace.read.set(super.node, this);
    return super.node;
  }

  /** @internal The leaf that holds the memory. */
  get leaf(): Node {
    return super.node;
  }

  /** Replaces the value by a tensor of the same shape (cast to the variable's type). */
  assign(value: Tensor): this {
    assignAll([[this, value]]);
    return this;
  }

  /** @internal The variable's memory from now on; takes over one reference. */
  replaceLeaf(fresh: Node): void {
    const old = this.current;
    this.version++;
    this.current = fresh;
    old.release();
  }

  /** Host → device, into the same memory: how a training loop feeds batches without allocating. */
  write(values: HostArray | readonly number[]): this {
    forbidInTrace('write()');
    const array = Array.isArray(values) ? (this.dtype === 'int32' || this.dtype === 'bool' ? Int32Array.from(values) : Float32Array.from(values)) : (values as HostArray);
    if (array.length !== this.size) throw new ShapeError(`write: values has ${array.length} elements, expected ${this.size} for shape ${formatShape(this.shape)}`);
    const integers = array instanceof Int32Array || array instanceof Uint8Array;
    if ((this.dtype === 'int32') !== integers && this.dtype !== 'bool') {
      throw new DTypeError(`write: values is ${array.constructor.name}, expected ${this.dtype === 'int32' ? 'Int32Array' : 'Float32Array'} for ${this.dtype}`);
    }
    if (this.leaf.referenceCount > 1) {
      // Pending expressions read the old value: leave it to them.
      const fresh = new Node(this.device, { kind: 'leaf' }, [], this.shape, this.dtype);
      fresh.buffer = this.device.allocateBuffer(sizeOf(this.shape) * byteSize(this.dtype));
      fresh.retain();
      this.current.release();
      this.current = fresh;
    }
    this.version++;
    this.device.backend.write(this.leaf.memory(), this.dtype, array);
    return this;
  }

  /**
   * Stores the value as `dtype`, a float type, from now on, rounded to nearest even. A step that was compiled for the old type refuses to run.
   *
   * @throws DTypeError unless both types are float types
   */
  convert(dtype: DType): this {
    forbidInTrace('convert()');
    if (!isFloat(this.dtype) || !isFloat(dtype)) throw new DTypeError(`convert: the variable is ${this.dtype} and dtype ${dtype}, expected float types`);
    if (dtype === this.dtype) return this;
    const fresh = cast(this.leaf, dtype);
    fresh.retain();
    realizeNodes([fresh]);
    this.replaceLeaf(fresh);
    return this;
  }

  /**
   * Moves the variable to memory of its own on another device, contents undefined until `write`: how a model that was built on a device without
   * memory becomes a real one, without ever holding initial values beside the loaded ones.
   */
  allocateOn(device: Device): this {
    forbidInTrace('allocateOn()');
    const fresh = new Node(device, { kind: 'leaf' }, [], this.shape, this.dtype);
    fresh.buffer = device.allocateBuffer(this.byteLength);
    fresh.retain();
    this.replaceLeaf(fresh);
    return this;
  }

  override toString(): string {
    return super.toString().replace('Tensor', 'Variable');
  }
}

/**
 * Assigns several variables at once: all values are computed in one program, from the variables' old values. What they share, a backward pass
 * for instance, is computed once.
 */
export function assignAll(assignments: readonly (readonly [Variable, Tensor])[]): void {
  for (const [target, value] of assignments) {
    if (!sameShape(value.shape, target.shape)) {
      throw new ShapeError(`assign: value has shape ${formatShape(value.shape)}, expected ${formatShape(target.shape)}`);
    }
  }
  const values = assignments.map(([target, value]) => cast(value.node, target.dtype));
  const trace = activeTrace();
  if (trace) {
    assignments.forEach(([target], i) => trace.assigned.set(target, values[i]));
    return;
  }
  // Memory of its own: the tensor that was passed in, if it is kept, stays what it is.
  const fresh = values.map(copyNode);
  for (const node of fresh) node.retain();
  try {
    realizeNodes(fresh);
  } catch (error) {
    for (const node of fresh) node.release();
    throw error;
  }
  assignments.forEach(([target], i) => target.replaceLeaf(fresh[i]));
}

/** A node of the same value that will get memory of its own. */
function copyNode(leaf: Node): Node {
  return new Node(leaf.device, { kind: 'fence' }, [leaf], leaf.shape, leaf.dtype);
}

/** A variable that starts with the value of `initial` (which stays usable). */
export function variable(initial: Tensor): Variable {
  forbidInTrace('variable()');
  const node = copyNode(initial.node);
  const made = new Variable(node);
  realizeNodes([node]);
  return made;
}
