import type { BinaryOp, UnaryOp } from '../compile/kernel';
import { isFloat } from '../dtype';
import { binary, cast, constant, expand, pad, permute, reduce, reshape, slice, sumTo, unary, where } from '../graph/build';
import type { Node, NodeOp } from '../graph/node';

/** Gradient of the output → gradients of the inputs (null: none). Written with primitives, so that gradients can be differentiated again. */
export type Vjp = (gradient: Node, node: Node) => readonly (Node | null)[];

const mul = (a: Node, b: Node): Node => binary('mul', a, b);
const sub = (a: Node, b: Node): Node => binary('sub', a, b);
const number = (like: Node, value: number): Node => constant(like.device, value, like.dtype);

/** d op(x) / dx in terms of x and y = op(x). */
const derivatives: Partial<Record<UnaryOp, (x: Node, y: Node) => Node>> = {
  exp: (_, y) => y,
  expm1: (_, y) => binary('add', y, number(y, 1)),
  log: (x) => unary('reciprocal', x),
  log1p: (x) => unary('reciprocal', binary('add', x, number(x, 1))),
  sqrt: (_, y) => binary('div', number(y, 0.5), y),
  rsqrt: (x, y) => mul(number(y, -0.5), binary('div', y, x)),
  reciprocal: (_, y) => unary('neg', mul(y, y)),
  sin: (x) => unary('cos', x),
  cos: (x) => unary('neg', unary('sin', x)),
  tanh: (_, y) => sub(number(y, 1), mul(y, y)),
  erf: (x) => mul(number(x, 2 / Math.sqrt(Math.PI)), unary('exp', unary('neg', mul(x, x)))),
  sigmoid: (_, y) => mul(y, sub(number(y, 1), y)),
  softplus: (x) => where(binary('lt', number(x, 20), x), number(x, 1), unary('sigmoid', x)),
  abs: (x) => unary('sign', x),
};

const zeroGradient: ReadonlySet<string> = new Set(['floor', 'sign', 'not', 'lt', 'le', 'eq', 'ne', 'and', 'or', 'xor', 'shl', 'shr']);

function unaryVjp(op: UnaryOp, g: Node, node: Node): readonly (Node | null)[] {
  if (zeroGradient.has(op)) return [null];
  if (op === 'neg') return [unary('neg', g)];
  const derivative = derivatives[op];
  return derivative ? [mul(g, derivative(node.inputs[0], node))] : [null];
}

function binaryVjp(op: BinaryOp, g: Node, node: Node): readonly (Node | null)[] {
  const [x, y] = node.inputs;
  switch (op) {
    case 'add':
      return [g, g];
    case 'sub':
      return [g, unary('neg', g)];
    case 'mul':
      return [mul(g, y), mul(g, x)];
    case 'div':
      return [binary('div', g, y), unary('neg', mul(g, binary('div', node, y)))];
    case 'min':
    case 'max': {
      // Ties share the gradient equally.
      const share = where(binary('eq', x, y), number(g, 0.5), number(g, 1));
      const takesX = op === 'max' ? binary('le', y, x) : binary('le', x, y);
      const takesY = op === 'max' ? binary('le', x, y) : binary('le', y, x);
      return [where(takesX, mul(g, share), number(g, 0)), where(takesY, mul(g, share), number(g, 0))];
    }
    case 'pow': {
      const dx = mul(mul(g, y), binary('pow', x, sub(y, number(y, 1))));
      const positive = binary('lt', number(x, 0), x);
      const dy = where(positive, mul(mul(g, node), unary('log', where(positive, x, number(x, 1)))), number(g, 0));
      return [where(binary('eq', y, number(y, 0)), number(g, 0), dx), dy];
    }
    default:
      return [null, null];
  }
}

type Of<K extends NodeOp['kind']> = Extract<NodeOp, { kind: K }>;

/** Gradient rules of the primitives, by node kind. Views are each other's transposes. */
export const primitiveVjps: Partial<Record<NodeOp['kind'], Vjp>> = {
  unary: (g, node) => unaryVjp((node.op as Of<'unary'>).op, g, node),
  binary: (g, node) => binaryVjp((node.op as Of<'binary'>).op, g, node),
  where: (g, node) => [null, where(node.inputs[0], g, number(g, 0)), where(node.inputs[0], number(g, 0), g)],
  cast: (g, node) => [isFloat(node.inputs[0].dtype) ? cast(g, node.inputs[0].dtype) : null],
  reshape: (g, node) => [reshape(g, node.inputs[0].shape)],
  expand: (g, node) => [sumTo(g, node.inputs[0].shape)],
  permute: (g, node) => {
    const axes = (node.op as Of<'permute'>).axes;
    const inverse = new Array<number>(axes.length);
    axes.forEach((a, i) => {
      inverse[a] = i;
    });
    return [permute(g, inverse)];
  },
  pad: (g, node) => {
    const before = (node.op as Of<'pad'>).before;
    return [slice(g, before, before.map(() => 1), node.inputs[0].shape)];
  },
  slice: (g, node) => {
    const { starts, steps } = node.op as Of<'slice'>;
    return [unslice(g, starts, steps, node.inputs[0].shape)];
  },
  reduce: (g, node) => {
    const { op, axes } = node.op as Of<'reduce'>;
    const input = node.inputs[0];
    const kept = input.shape.map((d, i) => (axes.includes(i) ? 1 : d));
    const back = reshape(g, kept);
    if (op === 'sum') return [expand(back, input.shape)];
    // The positions of the maximum share the gradient.
    const isMax = cast(binary('eq', input, reshape(node, kept)), 'float32');
    const count = reshape(reduce('sum', isMax, axes), kept);
    return [mul(isMax, binary('div', back, count))];
  },
  stopGradient: () => [null],
  derived: (g) => [g],
  fence: (g) => [g],
};

/** Puts the elements of a slice back where they came from, zeros elsewhere. Strided axes are spread by padding between elements. */
function unslice(g: Node, starts: readonly number[], steps: readonly number[], shape: readonly number[]): Node {
  let x = g;
  const rank = shape.length;
  for (let d = 0; d < rank; d++) {
    let start = starts[d];
    let step = steps[d];
    const n = x.shape[d];
    if (step < 0) {
      const reversed = x.shape.map((_, i) => (i === d ? -1 : 1));
      x = slice(x, x.shape.map((s, i) => (i === d ? s - 1 : 0)), reversed, x.shape);
      start += (n - 1) * step;
      step = -step;
    }
    if (step > 1) {
      const spread = [...x.shape.slice(0, d + 1), 1, ...x.shape.slice(d + 1)];
      const wide = spread.map((s, i) => (i === d + 1 ? step : s));
      x = pad(reshape(x, spread), wide.map(() => 0), wide);
      x = reshape(x, [...wide.slice(0, d), n * step, ...wide.slice(d + 2)]);
    }
    const length = x.shape[d];
    const room = shape[d] - start;
    if (length > room) {
      const cut = x.shape.map((s, i) => (i === d ? room : s));
      x = slice(x, cut.map(() => 0), cut.map(() => 1), cut);
    }
    const target = x.shape.map((s, i) => (i === d ? shape[d] : s));
    x = pad(x, target.map((_, i) => (i === d ? start : 0)), target);
  }
  return x;
}
