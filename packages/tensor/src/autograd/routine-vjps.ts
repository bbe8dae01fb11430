import { binary, cast, constant, index, reshape, sumTo, unary, where } from '../graph/build';
import type { Node } from '../graph/node';
import * as routines from '../graph/routine-nodes';
import type { RoutineName } from '../graph/routines';

/** One call of a routine, seen by its gradient rule. Arrays follow the order of routines.ts; absent inputs are null. */
export interface RoutineGradient {
  readonly gradients: readonly (Node | null)[];
  readonly inputs: readonly (Node | null)[];
  readonly outputs: readonly Node[];
  readonly attributes: Readonly<Record<string, number | boolean>>;
}

export type RoutineVjp = (call: RoutineGradient) => readonly (Node | null)[];

const zerosLike = (x: Node): Node => constant(x.device, 0, x.dtype, x.shape);

const matmul: RoutineVjp = ({ gradients, inputs, attributes }) => {
  const [a, b] = inputs as readonly Node[];
  const g = gradients[0] as Node;
  const { transposeA, transposeB } = attributes;
  const product = routines.matmul;
  const da = transposeA ? product(b, g, Boolean(transposeB), true) : product(g, b, false, !transposeB);
  const db = transposeB ? product(g, a, true, Boolean(transposeA)) : product(a, g, !transposeA, false);
  return [sumTo(da, a.shape), sumTo(db, b.shape)];
};

const scan: RoutineVjp = ({ gradients, inputs, outputs, attributes }) => {
  const [u, delta, A, B, C, D, z, deltaBias, initialState, resets] = inputs;
  const nodes = { u, delta, A, B, C, D, z, deltaBias, initialState, resets } as routines.ScanNodes;
  const gradY = gradients[0] ?? zerosLike(outputs[0]);
  const out = routines.selectiveScanBackward(gradY, gradients[1], nodes, attributes);
  return [...out.map((g, i) => (inputs[i] ? g : null)), null];
};

/** A step is a scan of length 1. */
const stateUpdate: RoutineVjp = ({ gradients, inputs, outputs, attributes }) => {
  const [state, u, delta, A, B, C, D, z, deltaBias] = inputs;
  const timed = (x: Node | null): Node | null => (x ? reshape(x, [x.shape[0], 1, ...x.shape.slice(1)]) : null);
  const nodes = {
    u: timed(u), delta: timed(delta), A, B: attributes.variableB ? timed(B) : B, C: attributes.variableC ? timed(C) : C, D, z: timed(z), deltaBias,
    initialState: state, resets: null,
  } as routines.ScanNodes;
  const gradY = timed(gradients[0] ?? zerosLike(outputs[0])) as Node;
  const out = routines.selectiveScanBackward(gradY, gradients[1], nodes, attributes);
  const [du, dDelta, dA, dB, dC, dD, dz, dBias, dState] = out;
  const back = (g: Node, like: Node | null): Node | null => (like ? reshape(g, like.shape) : null);
  return [dState, back(du, u), back(dDelta, delta), dA, back(dB, B), back(dC, C), D && dD, back(dz, z), deltaBias && dBias];
};

/** softmax − one-hot, from the saved log-sum-exp: one elementwise kernel. */
const crossEntropy: RoutineVjp = ({ gradients, inputs, outputs, attributes }) => {
  const [logits, targets] = inputs as readonly Node[];
  const [rows, classes] = logits.shape;
  const column = (x: Node): Node => reshape(x, [rows, 1]);
  const probability = unary('exp', binary('sub', logits, column(outputs[1])));
  let total: Node | null = null;
  if (gradients[0]) {
    const hit = binary('eq', index(logits.device, [rows, classes], 1), column(targets));
    const ignored = binary('eq', targets, constant(logits.device, Number(attributes.ignoreIndex), 'int32'));
    const g = where(ignored, constant(logits.device, 0), gradients[0]);
    total = binary('mul', binary('sub', probability, cast(hit, 'float32')), column(g));
  }
  if (gradients[1]) {
    const part = binary('mul', probability, column(gradients[1]));
    total = total ? binary('add', total, part) : part;
  }
  return [total, null];
};

const sort: RoutineVjp = ({ gradients, inputs, outputs }) => {
  const x = inputs[0] as Node;
  if (!gradients[0]) return [null];
  const [rows, width] = x.shape;
  const row = index(x.device, [rows, width], 0);
  const flat = binary('add', binary('mul', row, constant(x.device, width, 'int32')), outputs[1]);
  return [reshape(routines.scatterAdd(reshape(gradients[0], [rows * width, 1]), reshape(flat, [rows * width]), rows * width), [rows, width])];
};

/** Gradient rules of the routines. Those missing here (argmax, the backward routines of conv and scan) have none. */
export const routineVjps: Partial<Record<RoutineName, RoutineVjp>> = {
  matmul,
  causalConv1d: ({ gradients, inputs, attributes }) => {
    const [x, weight, bias, initial, resets] = inputs;
    const silu = attributes.silu ? { bias } : null;
    const [dx, dWeight, dBias, dInitial] = routines.causalConv1dBackward(gradients[0] as Node, x as Node, weight as Node, initial, resets, silu);
    return [dx, dWeight, bias && dBias, initial && dInitial, null];
  },
  longConv: ({ gradients, inputs }) => {
    const [u, kernel] = inputs as readonly Node[];
    const g = gradients[0] as Node;
    return [routines.longConvGradInput(g, kernel), routines.longConvGradKernel(g, u, kernel.shape[0])];
  },
  longConvGradInput: ({ gradients, inputs }) => {
    const [gradY, kernel] = inputs as readonly Node[];
    const h = gradients[0] as Node;
    return [routines.longConv(h, kernel), routines.longConvGradKernel(gradY, h, kernel.shape[0])];
  },
  longConvGradKernel: ({ gradients, inputs }) => {
    const [gradY, u] = inputs as readonly Node[];
    const k = gradients[0] as Node;
    return [routines.longConv(u, k), routines.longConvGradInput(gradY, k)];
  },
  selectiveScan: scan,
  stateUpdate,
  gather: ({ gradients, inputs }) => {
    const [table, ids] = inputs as readonly Node[];
    return [routines.scatterAdd(gradients[0] as Node, ids, table.shape[0]), null];
  },
  scatterAdd: ({ gradients, inputs }) => [routines.gather(gradients[0] as Node, inputs[1] as Node), null],
  crossEntropy,
  sort,
  cumsum: ({ gradients, attributes }) => [routines.cumsum(gradients[0] as Node, 1, !attributes.reverse)],
};
