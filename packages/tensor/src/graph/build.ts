import type { BinaryOp, ReduceOp, UnaryOp } from '../compile/kernel';
import type { Device } from '../device';
import { type DType, isFloat, promote } from '../dtype';
import { DeviceError, DTypeError, OutOfRangeError, ShapeError } from '../errors';
import { broadcastShapes, formatShape, sameShape, type Shape, sizeOf } from '../shape';
import { Node, type NodeOp } from './node';
import { comparisons, integerUnary, logicalOps } from './primitives';

/* Constructors of graph nodes: they check types and shapes, broadcast, promote, and simplify what is trivially known. */

const scalar: Shape = [];

export function constant(device: Device, value: number, dtype: DType = 'float32', shape: Shape = scalar): Node {
  const node = new Node(device, { kind: 'constant', value }, [], scalar, dtype);
  return shape.length === 0 ? node : expand(node, shape);
}

/** The value of a (possibly broadcast) constant, or null. */
export function constantValue(node: Node): number | null {
  let n = node;
  while (n.op.kind === 'expand' || n.op.kind === 'reshape') n = n.inputs[0];
  return n.op.kind === 'constant' ? n.op.value : null;
}

/** int32 coordinate along `axis` for every element of `shape`. */
export function index(device: Device, shape: Shape, axis: number): Node {
  return new Node(device, { kind: 'index', axis }, [], shape, 'int32');
}

function sameDevice(op: string, nodes: readonly Node[]): Device {
  const device = nodes[0].device;
  for (const node of nodes) {
    if (node.device !== device) {
      throw new DeviceError(`${op}: operands are on different devices (${device.name} and ${node.device.name})`);
    }
  }
  return device;
}

export function cast(x: Node, dtype: DType): Node {
  if (x.dtype === dtype) return x;
  if (x.op.kind === 'constant') {
    const value = dtype === 'int32' ? Math.trunc(x.op.value) : dtype === 'bool' ? Number(x.op.value !== 0) : x.op.value;
    return constant(x.device, value, dtype);
  }
  return new Node(x.device, { kind: 'cast' }, [x], x.shape, dtype);
}

export function unary(op: UnaryOp, x: Node): Node {
  if (op === 'not' && isFloat(x.dtype)) throw new DTypeError(`not: x is ${x.dtype}, expected bool or int32`);
  if (op !== 'not' && x.dtype === 'bool') throw new DTypeError(`${op}: x is bool, expected a number type (cast it first)`);
  if (op === 'floor' && x.dtype === 'int32') return x;
  const operand = x.dtype === 'int32' && !integerUnary.has(op) ? cast(x, 'float32') : x;
  if (op === 'neg' && x.op.kind === 'unary' && x.op.op === 'neg') return x.inputs[0];
  const value = constantValue(operand);
  if (op === 'neg' && value !== null) return constant(x.device, -value, operand.dtype, x.shape);
  return new Node(x.device, { kind: 'unary', op }, [operand], x.shape, operand.dtype);
}

export function binary(op: BinaryOp, a: Node, b: Node): Node {
  const device = sameDevice(op, [a, b]);
  if (logicalOps.has(op) && (isFloat(a.dtype) || isFloat(b.dtype))) {
    throw new DTypeError(`${op}: operands are ${a.dtype} and ${b.dtype}, expected bool or int32`);
  }
  // A bare number takes the type of the tensor it meets: x.mul(2) stays half precision, i.add(1) stays int32.
  let dtype = promote(a.dtype, b.dtype);
  if (isFloat(a.dtype) && constantValue(b) !== null && b.op.kind === 'constant') dtype = a.dtype;
  else if (isFloat(b.dtype) && constantValue(a) !== null && a.op.kind === 'constant') dtype = b.dtype;
  if (dtype === 'bool' && !comparisons.has(op) && !logicalOps.has(op)) dtype = 'int32';
  const shape = broadcastShapes(a.shape, b.shape, op);
  const x = cast(a, dtype);
  const y = cast(b, dtype);
  const simple = simplify(op, x, y, shape);
  if (simple) return simple;
  return new Node(device, { kind: 'binary', op }, [expand(x, shape), expand(y, shape)], shape, comparisons.has(op) ? 'bool' : dtype);
}

/** x·1, x·0 is kept (NaN), x+0, x-0, x/1, constant op constant: gradients produce these in numbers. */
function simplify(op: BinaryOp, x: Node, y: Node, shape: Shape): Node | null {
  const a = constantValue(x);
  const b = constantValue(y);
  if (a !== null && b !== null && isFloat(x.dtype)) {
    const value = op === 'add' ? a + b : op === 'sub' ? a - b : op === 'mul' ? a * b : op === 'div' ? a / b : null;
    if (value !== null) return constant(x.device, value, x.dtype, shape);
  }
  if (b === 0 && (op === 'add' || op === 'sub')) return expand(x, shape);
  if (a === 0 && op === 'add') return expand(y, shape);
  if (b === 1 && (op === 'mul' || op === 'div')) return expand(x, shape);
  if (a === 1 && op === 'mul') return expand(y, shape);
  return null;
}

export function where(condition: Node, a: Node, b: Node): Node {
  const device = sameDevice('where', [condition, a, b]);
  if (condition.dtype !== 'bool') throw new DTypeError(`where: condition is ${condition.dtype}, expected bool`);
  let dtype = promote(a.dtype, b.dtype);
  if (isFloat(a.dtype) && b.op.kind === 'constant') dtype = a.dtype;
  else if (isFloat(b.dtype) && a.op.kind === 'constant') dtype = b.dtype;
  const shape = broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape, 'where'), 'where');
  const operands = [expand(condition, shape), expand(cast(a, dtype), shape), expand(cast(b, dtype), shape)];
  return new Node(device, { kind: 'where' }, operands, shape, dtype);
}

/** Random bits: key0, key1 int32 scalars, counter int32 of any shape. */
export function threefry(key0: Node, key1: Node, counter: Node, lane: 0 | 1): Node {
  const device = sameDevice('threefry', [key0, key1, counter]);
  const shape = counter.shape;
  return new Node(device, { kind: 'threefry', lane }, [expand(key0, shape), expand(key1, shape), counter], shape, 'int32');
}

export function reshape(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  if (sizeOf(shape) !== sizeOf(x.shape)) {
    throw new ShapeError(`reshape: x has shape ${formatShape(x.shape)} (${sizeOf(x.shape)} elements), which does not fit ${formatShape(shape)}`);
  }
  if (x.op.kind === 'reshape') return reshape(x.inputs[0], shape);
  return new Node(x.device, { kind: 'reshape' }, [x], shape, x.dtype);
}

export function permute(x: Node, axes: readonly number[]): Node {
  const seen = new Set(axes);
  if (axes.length !== x.shape.length || seen.size !== axes.length || axes.some((a) => !(a >= 0 && a < x.shape.length))) {
    throw new ShapeError(`permute: axes are (${axes.join(', ')}), expected a permutation of ${x.shape.length} axes`);
  }
  if (axes.every((a, i) => a === i)) return x;
  return new Node(x.device, { kind: 'permute', axes }, [x], axes.map((a) => x.shape[a]), x.dtype);
}

export function expand(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  const lead = shape.length - x.shape.length;
  if (lead < 0 || x.shape.some((d, i) => d !== shape[i + lead] && d !== 1)) {
    throw new ShapeError(`expand: x has shape ${formatShape(x.shape)}, which does not broadcast to ${formatShape(shape)}`);
  }
  if (x.op.kind === 'expand') return new Node(x.device, { kind: 'expand' }, [x.inputs[0]], shape, x.dtype);
  return new Node(x.device, { kind: 'expand' }, [x], shape, x.dtype);
}

/** Element i of an axis of the result is element starts + i·steps of x. */
export function slice(x: Node, starts: readonly number[], steps: readonly number[], shape: Shape): Node {
  for (let d = 0; d < shape.length; d++) {
    const last = starts[d] + (shape[d] - 1) * steps[d];
    if (shape[d] > 0 && (starts[d] < 0 || starts[d] >= x.shape[d] || last < 0 || last >= x.shape[d])) {
      throw new OutOfRangeError(`slice: axis ${d} reads ${starts[d]} to ${last}, expected indices in [0, ${x.shape[d] - 1}]`);
    }
  }
  if (sameShape(x.shape, shape) && starts.every((s) => s === 0) && steps.every((s) => s === 1)) return x;
  return new Node(x.device, { kind: 'slice', starts, steps }, [x], shape, x.dtype);
}

/** Zeros around x: before[d] in front and the rest behind, up to `shape`. */
export function pad(x: Node, before: readonly number[], shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  return new Node(x.device, { kind: 'pad', before }, [x], shape, x.dtype);
}

export function reduce(op: ReduceOp, x: Node, axes: readonly number[]): Node {
  if (axes.length === 0) return x;
  const operand = x.dtype === 'bool' ? cast(x, 'int32') : x;
  const removed = new Set(axes);
  const shape = x.shape.filter((_, d) => !removed.has(d));
  const count = axes.reduce((n, d) => n * x.shape[d], 1);
  if (count === 0 && op === 'max') throw new ShapeError(`max: x has shape ${formatShape(x.shape)}, expected at least one element to reduce`);
  if (count === 0) return constant(x.device, 0, operand.dtype, shape);
  if (count === 1) return reshape(operand, shape);
  const sorted = [...removed].sort((a, b) => a - b);
  return new Node(x.device, { kind: 'reduce', op, axes: sorted }, [operand], shape, operand.dtype);
}

/** Sums x down to `shape`: the gradient of broadcasting. */
export function sumTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.map((_, d) => d).filter((d) => d < lead || (shape[d - lead] === 1 && x.shape[d] !== 1));
  return reshape(reduce('sum', x, axes), shape);
}

/** Identity nodes with a meaning for the compiler or for autograd. */
export function mark(x: Node, kind: 'stopGradient' | 'fence' | 'derived'): Node {
  return new Node(x.device, { kind }, [x], x.shape, x.dtype);
}

export function pick(source: Node, output: number): Node {
  const op = source.op as Extract<NodeOp, { kind: 'routine' | 'custom' }>;
  const spec = op.kind === 'routine' ? op.outputs[output] : source.inputs[output];
  return new Node(source.device, { kind: 'pick', output }, [source], spec.shape, spec.dtype);
}

export function custom(outputs: readonly Node[], args: readonly Node[], vjp: (g: readonly (Node | null)[]) => readonly (Node | null)[]): Node[] {
  const node = new Node(outputs[0].device, { kind: 'custom', outputs: outputs.length, vjp }, [...outputs, ...args], outputs[0].shape, outputs[0].dtype);
  return outputs.map((_, i) => pick(node, i));
}

export { sameDevice };
