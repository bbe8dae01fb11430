import type { TensorSpec } from '../compile/program';
import { type DType, isFloat } from '../dtype';
import { DTypeError, ShapeError } from '../errors';
import { formatShape, sameShape, type Shape, sizeOf } from '../shape';
import { cast, expand, permute, pick, reshape, sameDevice } from './build';
import { Node } from './node';
import type { RoutineName } from './routines';

/* Node constructors of the routines: shape checks, and the shapes of the outputs. The list with its meaning is routines.ts. */

type Attributes = Readonly<Record<string, number | boolean>>;

/** A routine node and one node per output. Half-precision inputs stay as stored where the backend takes them, and are widened elsewhere. */
export function routine(name: RoutineName, inputs: readonly (Node | null)[], attributes: Attributes, outputs: readonly TensorSpec[]): Node[] {
  const present: Node[] = [];
  const slots = inputs.map((input, position) => {
    if (!input) return null;
    const asStored = !isFloat(input.dtype) || input.device.backend.halfInputs?.[name]?.includes(position);
    present.push(asStored ? input : cast(input, 'float32'));
    return present.length - 1;
  });
  const device = sameDevice(name, present);
  const node = new Node(device, { kind: 'routine', name, attributes, slots, outputs }, present, outputs[0].shape, outputs[0].dtype);
  return outputs.map((_, i) => pick(node, i));
}

const f32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
const i32 = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

/** Refuses a wrong shape: `op: name has shape (…), expected (batch 2, length 64)`. Names give meaning to the numbers. */
export function expectShape(op: string, name: string, node: Node | null, names: readonly string[], sizes: Shape): void {
  if (!node || sameShape(node.shape, sizes)) return;
  const expected = sizes.map((d, i) => `${names[i]} ${d}`).join(', ');
  throw new ShapeError(`${op}: ${name} has shape ${formatShape(node.shape)}, expected (${expected})`);
}

export function expectRank(op: string, name: string, node: Node, rank: number, names: string): void {
  if (node.shape.length !== rank) throw new ShapeError(`${op}: ${name} has shape ${formatShape(node.shape)}, expected ${rank} axes (${names})`);
}

export function expectDType(op: string, name: string, node: Node | null, dtype: DType | 'float'): void {
  if (!node) return;
  if (dtype === 'float' ? !isFloat(node.dtype) : node.dtype !== dtype) {
    throw new DTypeError(`${op}: ${name} is ${node.dtype}, expected ${dtype === 'float' ? 'a float type' : dtype}`);
  }
}

/** (…, m, k) @ (…, k, n) with NumPy's broadcasting of the leading axes; a transposed operand comes as (…, k, m) or (…, n, k). */
export function matmul(a: Node, b: Node, transposeA = false, transposeB = false): Node {
  for (const [name, x] of [['a', a], ['b', b]] as const) {
    expectDType('matmul', name, x, 'float');
    if (x.shape.length < 2) throw new ShapeError(`matmul: ${name} has shape ${formatShape(x.shape)}, expected at least 2 axes`);
  }
  const ra = a.shape.length;
  const rb = b.shape.length;
  const [m, k] = transposeA ? [a.shape[ra - 1], a.shape[ra - 2]] : [a.shape[ra - 2], a.shape[ra - 1]];
  const [n, kb] = transposeB ? [b.shape[rb - 2], b.shape[rb - 1]] : [b.shape[rb - 1], b.shape[rb - 2]];
  if (k !== kb) {
    throw new ShapeError(`matmul: inner sizes differ: a ${formatShape(a.shape)} has ${k}, b ${formatShape(b.shape)} has ${kb}`);
  }
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  const countA = sizeOf(batchA);
  const countB = sizeOf(batchB);
  // Rows of a shared by one matrix b: one tall product.
  if (countB === 1 && !transposeA && rb === 2) {
    const rows = countA * m;
    const [y] = routine('matmul', [reshape(a, [1, rows, k]), reshape(b, [1, ...b.shape.slice(-2)])], { transposeA, transposeB }, [f32(1, rows, n)]);
    return reshape(y, [...batchA, m, n]);
  }
  const rank = Math.max(batchA.length, batchB.length);
  const batch: number[] = [];
  for (let i = 0; i < rank; i++) {
    const da = batchA[batchA.length - rank + i] ?? 1;
    const db = batchB[batchB.length - rank + i] ?? 1;
    if (da !== db && da !== 1 && db !== 1) {
      throw new ShapeError(`matmul: leading axes of a ${formatShape(a.shape)} and b ${formatShape(b.shape)} do not broadcast`);
    }
    batch.push(da === 1 ? db : da);
  }
  const count = sizeOf(batch);
  const flat = (x: Node, own: number): Node => {
    const tail = x.shape.slice(-2);
    return own === count || own === 1 ? reshape(x, [own, ...tail]) : reshape(expand(x, [...batch, ...tail]), [count, ...tail]);
  };
  const [y] = routine('matmul', [flat(a, countA), flat(b, countB)], { transposeA, transposeB }, [f32(count, m, n)]);
  return reshape(y, [...batch, m, n]);
}

/** `silu`: only where the backend `convolvesWithSilu`. */
export function causalConv1d(x: Node, weight: Node, bias: Node | null, initial: Node | null, resets: Node | null, silu = false): Node {
  const op = 'causalConv1d';
  checkConv(op, x, weight, bias, initial, resets);
  return routine(op, [x, weight, bias, initial, resets], silu ? { silu } : {}, [{ shape: x.shape, dtype: 'float32' }])[0];
}

function checkConv(op: string, x: Node, weight: Node, bias: Node | null, initial: Node | null, resets: Node | null): void {
  expectRank(op, 'x', x, 3, 'batch, length, channels');
  expectRank(op, 'weight', weight, 2, 'channels, width');
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  for (const [name, node] of [['x', x], ['weight', weight], ['bias', bias], ['initial', initial]] as const) expectDType(op, name, node, 'float');
  expectDType(op, 'resets', resets, 'int32');
  expectShape(op, 'weight', weight, ['channels', 'width'], [channels, width]);
  expectShape(op, 'bias', bias, ['channels'], [channels]);
  expectShape(op, 'initial', initial, ['batch', 'width - 1', 'channels'], [batch, width - 1, channels]);
  expectShape(op, 'resets', resets, ['batch', 'length'], [batch, length]);
  if (width < 1) throw new ShapeError(`${op}: weight has width 0, expected at least 1`);
}

/** Gradients of x, weight, bias, initial. */
/** `silu`: of the convolution with SiLU behind it, which had this bias. */
export function causalConv1dBackward(gradY: Node, x: Node, weight: Node, initial: Node | null, resets: Node | null, silu: { readonly bias: Node | null } | null): Node[] {
  const [batch, , channels] = x.shape;
  const width = weight.shape[1];
  return routine('causalConv1dBackward', [gradY, x, weight, initial, resets, ...(silu ? [silu.bias] : [])], silu ? { silu: true } : {}, [
    f32(...x.shape), f32(channels, width), f32(channels), f32(batch, width - 1, channels),
  ]);
}

export function longConv(u: Node, kernel: Node): Node {
  const op = 'longConv';
  expectRank(op, 'u', u, 3, 'batch, length, channels');
  expectRank(op, 'kernel', kernel, 2, 'taps, channels');
  expectDType(op, 'u', u, 'float');
  expectDType(op, 'kernel', kernel, 'float');
  expectShape(op, 'kernel', kernel, ['taps', 'channels'], [kernel.shape[0], u.shape[2]]);
  return routine(op, [u, kernel], {}, [f32(...u.shape)])[0];
}

export function longConvGradInput(gradY: Node, kernel: Node): Node {
  return routine('longConvGradInput', [gradY, kernel], {}, [f32(...gradY.shape)])[0];
}

export function longConvGradKernel(gradY: Node, u: Node, taps: number): Node {
  return routine('longConvGradKernel', [gradY, u], { taps }, [f32(taps, u.shape[2])])[0];
}

/** Operands of the scan; see @mamba-ts/scan for the meaning. `null` = absent. */
export interface ScanNodes {
  readonly u: Node;
  readonly delta: Node;
  readonly A: Node;
  readonly B: Node;
  readonly C: Node;
  readonly D: Node | null;
  readonly z: Node | null;
  readonly deltaBias: Node | null;
  readonly initialState: Node | null;
  readonly resets: Node | null;
}

/** What the shapes of A, B and C say about a scan. */
function scanAttributes(op: string, s: Omit<ScanNodes, 'initialState' | 'resets'>, lead: Shape, channels: number, deltaSoftplus: boolean): Attributes {
  const leadNames = lead.length === 2 ? ['batch', 'length'] : ['batch'];
  for (const [name, x] of Object.entries(s)) expectDType(op, name, x as Node | null, 'float');
  const complex = s.A.shape.length === 3;
  if (s.A.shape.length < 2 || s.A.shape.length > 3) {
    throw new ShapeError(`${op}: A has shape ${formatShape(s.A.shape)}, expected (channels ${channels}, dState) or, complex, (channels ${channels}, dState, 2)`);
  }
  const dState = s.A.shape[1];
  const pair = complex ? [2] : [];
  const pairName = complex ? ['re/im'] : [];
  if (dState < 1 || dState > 256) throw new ShapeError(`${op}: A has shape ${formatShape(s.A.shape)}, expected dState in [1, 256]`);
  expectShape(op, 'A', s.A, ['channels', 'dState', ...pairName], [channels, dState, ...pair]);
  const rows = [...leadNames.map((_, i) => lead[i]), channels];
  expectShape(op, 'delta', s.delta, [...leadNames, 'channels'], rows);
  expectShape(op, 'z', s.z, [...leadNames, 'channels'], rows);
  expectShape(op, 'D', s.D, ['channels'], [channels]);
  expectShape(op, 'deltaBias', s.deltaBias, ['channels'], [channels]);
  const variableRank = lead.length + 2 + pair.length;
  let groups = 1;
  const variable = (name: 'B' | 'C'): boolean => {
    const x = s[name];
    if (x.shape.length !== variableRank) {
      expectShape(op, name, x, ['channels', 'dState', ...pairName], [channels, dState, ...pair]);
      return false;
    }
    const g = x.shape[lead.length];
    if (g < 1 || channels % g !== 0) throw new ShapeError(`${op}: ${name} has shape ${formatShape(x.shape)}: ${g} groups do not divide ${channels} channels`);
    expectShape(op, name, x, [...leadNames, 'groups', 'dState', ...pairName], [...lead, g, dState, ...pair]);
    if (groups !== 1 && g !== groups) throw new ShapeError(`${op}: C has ${g} groups, expected ${groups} as B has`);
    groups = g;
    return true;
  };
  const variableB = variable('B');
  const variableC = variable('C');
  if (variableB && variableC && s.B.shape[lead.length] !== s.C.shape[lead.length]) {
    throw new ShapeError(`${op}: C has ${s.C.shape[lead.length]} groups, expected ${s.B.shape[lead.length]} as B has`);
  }
  return { groups, complex, variableB, variableC, deltaSoftplus };
}

/** y and last state. */
export function selectiveScan(s: ScanNodes, deltaSoftplus: boolean): Node[] {
  const op = 'selectiveScan';
  expectRank(op, 'u', s.u, 3, 'batch, length, channels');
  const [batch, length, channels] = s.u.shape;
  const { initialState, resets, ...rest } = s;
  const attributes = scanAttributes(op, rest, [batch, length], channels, deltaSoftplus);
  const state = [batch, ...s.A.shape];
  expectDType(op, 'initialState', initialState, 'float');
  expectShape(op, 'initialState', initialState, ['batch', 'channels', 'dState', 're/im'], state);
  expectDType(op, 'resets', resets, 'int32');
  expectShape(op, 'resets', resets, ['batch', 'length'], [batch, length]);
  return routine(op, [s.u, s.delta, s.A, s.B, s.C, s.D, s.z, s.deltaBias, initialState, resets], attributes, [f32(...s.u.shape), f32(...state)]);
}

/** Gradients of u, delta, A, B, C, D, z, deltaBias, initialState, in this order; those of absent inputs have shape (0). */
export function selectiveScanBackward(gradY: Node, gradLastState: Node | null, s: ScanNodes, attributes: Attributes): Node[] {
  const like = (x: Node | null): TensorSpec => (x ? f32(...x.shape) : f32(0));
  const inputs = [gradY, gradLastState, s.u, s.delta, s.A, s.B, s.C, s.D, s.z, s.deltaBias, s.initialState, s.resets];
  return routine('selectiveScanBackward', inputs, attributes, [s.u, s.delta, s.A, s.B, s.C, s.D, s.z, s.deltaBias, s.initialState].map(like));
}

/** One step: y (batch, channels) and the new state. */
export function stateUpdate(state: Node, s: Omit<ScanNodes, 'initialState' | 'resets'>, deltaSoftplus: boolean): Node[] {
  const op = 'stateUpdate';
  expectRank(op, 'u', s.u, 2, 'batch, channels');
  const [batch, channels] = s.u.shape;
  const attributes = scanAttributes(op, s, [batch], channels, deltaSoftplus);
  expectDType(op, 'state', state, 'float');
  expectShape(op, 'state', state, ['batch', 'channels', 'dState', 're/im'], [batch, ...s.A.shape]);
  return routine(op, [state, s.u, s.delta, s.A, s.B, s.C, s.D, s.z, s.deltaBias], attributes, [f32(batch, channels), f32(batch, ...s.A.shape)]);
}

/** Rows of `table` (rows, width) at `ids` (…): (…, width). */
export function gather(table: Node, ids: Node): Node {
  expectRank('gather', 'table', table, 2, 'rows, width');
  expectDType('gather', 'table', table, 'float');
  expectDType('gather', 'ids', ids, 'int32');
  const count = sizeOf(ids.shape);
  const width = table.shape[1];
  return reshape(routine('gather', [table, reshape(ids, [count])], {}, [f32(count, width)])[0], [...ids.shape, width]);
}

/** Sums updates (…, width) into rows given by ids (…): (rows, width). */
export function scatterAdd(updates: Node, ids: Node, rows: number): Node {
  const width = updates.shape[updates.shape.length - 1];
  expectDType('scatterAdd', 'ids', ids, 'int32');
  expectShape('scatterAdd', 'updates', updates, [...ids.shape.map(() => 'ids'), 'width'], [...ids.shape, width]);
  const count = sizeOf(ids.shape);
  return routine('scatterAdd', [reshape(updates, [count, width]), reshape(ids, [count])], { rows }, [f32(rows, width)])[0];
}

/** Losses and log-sum-exps, both of the shape of `targets`. */
export function crossEntropy(logits: Node, targets: Node, ignoreIndex: number): Node[] {
  const op = 'crossEntropy';
  if (logits.shape.length < 1) throw new ShapeError(`${op}: logits is a scalar, expected (…, classes)`);
  expectDType(op, 'logits', logits, 'float');
  expectDType(op, 'targets', targets, 'int32');
  const classes = logits.shape[logits.shape.length - 1];
  expectShape(op, 'targets', targets, logits.shape.slice(0, -1).map(() => 'rows'), logits.shape.slice(0, -1));
  const rows = sizeOf(targets.shape);
  const out = routine(op, [reshape(logits, [rows, classes]), reshape(targets, [rows])], { ignoreIndex }, [f32(rows), f32(rows)]);
  return out.map((x) => reshape(x, targets.shape));
}

function lastAxisRows(op: string, x: Node): [Node, number, number] {
  expectDType(op, 'x', x, 'float');
  if (x.shape.length < 1 || x.shape[x.shape.length - 1] < 1) throw new ShapeError(`${op}: x has shape ${formatShape(x.shape)}, expected a last axis of at least 1`);
  const width = x.shape[x.shape.length - 1];
  const rows = sizeOf(x.shape) / width;
  return [reshape(x, [rows, width]), rows, width];
}

/** Position of the largest value along the last axis, int32. */
export function argmax(x: Node): Node {
  const [flat, rows] = lastAxisRows('argmax', x);
  return reshape(routine('argmax', [flat], {}, [i32(rows)])[0], x.shape.slice(0, -1));
}

/** Values and their positions along the last axis, largest first. */
export function sort(x: Node): Node[] {
  const [flat, rows, width] = lastAxisRows('sort', x);
  return routine('sort', [flat], {}, [f32(rows, width), i32(rows, width)]).map((y) => reshape(y, x.shape));
}

/** Running sum along `axis` (from the end if `reverse`). */
export function cumsum(x: Node, axis: number, reverse: boolean): Node {
  expectDType('cumsum', 'x', x, 'float');
  const rows = sizeOf(x.shape.slice(0, axis));
  const width = sizeOf(x.shape.slice(axis + 1));
  const [y] = routine('cumsum', [reshape(x, [rows, x.shape[axis], width])], { reverse }, [f32(rows, x.shape[axis], width)]);
  return reshape(y, x.shape);
}

/** Swaps the last two axes. */
export function transposeLast(x: Node): Node {
  const axes = x.shape.map((_, i) => i);
  const r = axes.length;
  [axes[r - 1], axes[r - 2]] = [axes[r - 2], axes[r - 1]];
  return permute(x, axes);
}
