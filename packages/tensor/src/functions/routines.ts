import * as nodes from '../graph/routine-nodes';
import { normalizeAxis } from '../shape';
import { Tensor } from '../tensor';
import { silu } from './elementwise';

const nodeOf = (t: Tensor | undefined | null): Tensor['node'] | null => t?.node ?? null;

/** Matrix product with NumPy's broadcasting: (…, m, k) @ (…, k, n) → (…, m, n). */
export function matmul(a: Tensor, b: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
  return a.matmul(b, options);
}

/**
 * Causal depthwise convolution along the middle axis: y_t = bias + Σ_j weight_j x_{t-(width-1)+j}.
 *
 * @param x (batch, length, channels)
 * @param weight (channels, width); `weight[:, width-1]` meets the current sample
 * @param options.bias (channels); `initial` (batch, width-1, channels): the inputs before t = 0; `resets` int32 (batch, length): non-zero where
 *   a new sequence starts; `silu`: the result goes through SiLU, in the same pass where the device can
 */
export function causalConv1d(x: Tensor, weight: Tensor, options: { bias?: Tensor; initial?: Tensor; resets?: Tensor; silu?: boolean } = {}): Tensor {
  const inOne = options.silu === true && x.device.backend.convolvesWithSilu === true;
  const y = new Tensor(nodes.causalConv1d(x.node, weight.node, nodeOf(options.bias), nodeOf(options.initial), nodeOf(options.resets), inOne));
  return options.silu && !inOne ? silu(y) : y;
}

/**
 * Long causal convolution, one kernel a channel (FFT or direct, whichever the device finds faster): y_t = Σ_{j≤t} kernel_j u_{t-j}.
 *
 * @param u (batch, length, channels)
 * @param kernel (taps, channels)
 */
export function longConv(u: Tensor, kernel: Tensor): Tensor {
  return new Tensor(nodes.longConv(u.node, kernel.node));
}

/** Operands of `selectiveScan`; layouts of @mamba-ts/scan, channel-last. Complex: A, B, C and states have a last axis of 2. */
export interface ScanArguments {
  /** (batch, length, channels) */
  readonly u: Tensor;
  /** (batch, length, channels), before bias and softplus */
  readonly delta: Tensor;
  /** (channels, dState), negative real parts */
  readonly A: Tensor;
  /** (batch, length, groups, dState), or (channels, dState) when constant */
  readonly B: Tensor;
  readonly C: Tensor;
  /** (channels): skip */
  readonly D?: Tensor;
  /** (batch, length, channels): gate, y · silu(z) */
  readonly z?: Tensor;
  /** (channels) */
  readonly deltaBias?: Tensor;
  readonly deltaSoftplus?: boolean;
  /** (batch, channels, dState) */
  readonly initialState?: Tensor;
  /** int32 (batch, length): non-zero where the state is zeroed before the step */
  readonly resets?: Tensor;
}

/** The selective scan (Mamba, eq. 2): y (batch, length, channels) and the state after the last step. Gradients flow through both. */
export function selectiveScan(s: ScanArguments): { y: Tensor; lastState: Tensor } {
  const [y, lastState] = nodes.selectiveScan(
    {
      u: s.u.node, delta: s.delta.node, A: s.A.node, B: s.B.node, C: s.C.node, D: nodeOf(s.D), z: nodeOf(s.z), deltaBias: nodeOf(s.deltaBias),
      initialState: nodeOf(s.initialState), resets: nodeOf(s.resets),
    },
    s.deltaSoftplus ?? false,
  );
  return { y: new Tensor(y), lastState: new Tensor(lastState) };
}

/** One step of the scan: u, delta, z (batch, channels); B, C (batch, groups, dState) or constant. No gradient: train with `selectiveScan`. */
export function stateUpdate(state: Tensor, s: Omit<ScanArguments, 'initialState' | 'resets'>): { y: Tensor; state: Tensor } {
  const [y, next] = nodes.stateUpdate(
    state.node,
    { u: s.u.node, delta: s.delta.node, A: s.A.node, B: s.B.node, C: s.C.node, D: nodeOf(s.D), z: nodeOf(s.z), deltaBias: nodeOf(s.deltaBias) },
    s.deltaSoftplus ?? false,
  );
  return { y: new Tensor(y), state: new Tensor(next) };
}

/** Rows of `table` (rows, width) at `ids` int32 (…): (…, width). @throws OutOfRangeError, when computed, for an id outside the table. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  return new Tensor(nodes.gather(table.node, ids.node));
}

/** Sums updates (…, width) into the rows that ids (…) name: (rows, width). */
export function scatterAdd(updates: Tensor, ids: Tensor, rows: number): Tensor {
  return new Tensor(nodes.scatterAdd(updates.node, ids.node, rows));
}

/**
 * −log softmax(logits)[target] for each row, in nats; 0 where the target is `ignoreIndex`.
 *
 * @param logits (…, classes)
 * @param targets int32 (…)
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: { ignoreIndex?: number } = {}): Tensor {
  return new Tensor(nodes.crossEntropy(logits.node, targets.node, options.ignoreIndex ?? -100)[0]);
}

/** Position of the largest value along the last axis; the first of equals. */
export function argmax(x: Tensor): Tensor {
  return new Tensor(nodes.argmax(x.node));
}

/** Values along the last axis, largest first, and where they were. */
export function sort(x: Tensor): { values: Tensor; indices: Tensor } {
  const [values, indices] = nodes.sort(x.node);
  return { values: new Tensor(values), indices: new Tensor(indices) };
}

/** Running sum along `axis`, from the end if `reverse`. */
export function cumsum(x: Tensor, axis = -1, reverse = false): Tensor {
  return new Tensor(nodes.cumsum(x.node, normalizeAxis(axis, x.shape.length, 'cumsum'), reverse));
}
