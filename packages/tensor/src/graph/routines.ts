/**
 * The routine list: what is not fused, with shapes. Batch = product of leading axes where the text says (…).
 * `?` marks optional inputs (null when absent). All float32 unless int32 is said. Inputs that the caller has in bfloat16 or float16 arrive so
 * where `Backend.halfInputs` names them, each with its own type; the core widens the others before the call. Results are float32 either way.
 * A backend may name: a and b of matmul; table of gather; u, delta, z, B, C of selectiveScan, selectiveScanBackward (where gradY too) and
 * stateUpdate. Everything else (states, A, D, biases, losses, rows to sort) is always float32.
 * Attributes are numbers or booleans and are part of the program key. Every backend has one file of the routine's name.
 *
 * matmul                    a (batch|1, m, k) or transposed (k, m); b (batch|1, k, n) or (n, k) → (batch, m, n)
 *                           attributes transposeA, transposeB; a batch of 1 is broadcast against the other's.
 * causalConv1d              x (batch, length, channels), weight (channels, width), bias? (channels), initial? (batch, width-1, channels),
 *                           resets? int32 (batch, length) → y (batch, length, channels)
 *                           y_t = bias + sum_j weight[j] x_{t-(width-1)+j}; before the start: `initial` or zeros; a tap never reaches
 *                           across a reset at t' in (tap, t] (nor into `initial` past a reset at any t' <= t).
 *                           attribute silu, where the backend says so (`Backend.convolvesWithSilu`): y is y_t · sigmoid(y_t)
 * causalConv1dBackward      gradY, x, weight, initial?, resets? → gradX, gradWeight, gradBias, gradInitial (zeros where initial is absent)
 *                           with attribute silu a sixth input, bias?, from which the result before SiLU is computed again
 * longConv                  u (batch, length, channels), kernel (taps, channels) → y (batch, length, channels): y_t = sum_{j<=min(t,taps-1)} kernel_j u_{t-j}
 * longConvGradInput         gradY (batch, length, channels), kernel (taps, channels) → gradU: gradU_t = sum_j kernel_j gradY_{t+j}
 * longConvGradKernel        gradY, u (both batch, length, channels); attribute taps → (taps, channels): sum_{batch,t} gradY_t u_{t-j}
 * selectiveScan             u, delta, A, B, C, D?, z?, deltaBias?, initialState?, resets? → y, lastState      (shapes: @mamba-ts/scan)
 *                           attributes groups, complex, variableB, variableC, deltaSoftplus
 *                           in a program with its backward pass, where `Backend.scanCheckpoints` says so, a third output: checkpoints (n)
 * selectiveScanBackward     gradY, gradLastState?, u, delta, A, B, C, D?, z?, deltaBias?, initialState?, resets?
 *                           with checkpoints (n) as the thirteenth input where its scan left them
 *                           → gradients of u, delta, A, B, C, D, z, deltaBias, initialState (an absent input's gradient has shape (0))
 * stateUpdate               state, u, delta, A, B, C, D?, z?, deltaBias? → y (batch, channels), newState; one step of selectiveScan,
 *                           u, delta, z (batch, channels); B, C (batch, groups, dState) or constant. newState may be the memory of state.
 * gather                    table (rows, width), ids int32 (count) → (count, width). An id outside [0, rows) is a fault.
 * scatterAdd                updates (count, width), ids int32 (count); attribute rows → (rows, width): sum of the updates of each id,
 *                           in ascending order of position (deterministic). An id outside [0, rows) is a fault.
 * crossEntropy              logits (rows, classes), targets int32 (rows); attribute ignoreIndex → losses (rows), logSumExp (rows).
 *                           Loss 0 where target == ignoreIndex; any other target outside [0, classes) is a fault.
 * argmax                    x (rows, width) → int32 (rows); first of equals; NaN counts as largest.
 * sort                      x (rows, width) → values, indices int32, both (rows, width); descending, stable; NaN first.
 * cumsum                    x (rows, length, width) → (rows, length, width), along the middle axis; attribute reverse.
 */
export const routineNames = [
  'matmul', 'causalConv1d', 'causalConv1dBackward', 'longConv', 'longConvGradInput', 'longConvGradKernel', 'selectiveScan',
  'selectiveScanBackward', 'stateUpdate', 'gather', 'scatterAdd', 'crossEntropy', 'argmax', 'sort', 'cumsum',
] as const;

export type RoutineName = (typeof routineNames)[number];

/** Positions in a routine's argument list that take half-precision tensors as stored. */
export type HalfInputs = Partial<Readonly<Record<RoutineName, readonly number[]>>>;

/** Inputs that may be views (see `TensorSpec.view`): position → how many leading axes count the rows. */
export type ViewInputs = Partial<Readonly<Record<RoutineName, Readonly<Record<number, number>>>>>;

/** All that a backend may name in `Backend.viewInputs`. */
export const viewInputPositions: ViewInputs = {
  matmul: { 0: 2 },
  causalConv1d: { 0: 2 },
  causalConv1dBackward: { 1: 2 },
  selectiveScan: { 0: 2, 1: 2, 3: 2, 4: 2, 6: 2 },
  selectiveScanBackward: { 2: 2, 3: 2, 5: 2, 6: 2, 8: 2 },
  stateUpdate: { 1: 1, 2: 1, 4: 1, 5: 1, 7: 1 },
};

/** All that a backend may name in `Backend.halfInputs`. */
export const halfInputPositions: HalfInputs = {
  matmul: [0, 1],
  gather: [0],
  selectiveScan: [0, 1, 3, 4, 6],
  selectiveScanBackward: [0, 2, 3, 5, 6, 8],
  stateUpdate: [1, 2, 4, 5, 7],
};

/**
 * Outputs that may share memory with an input (output index → input index): the routine reads each element of the input before it writes
 * the same element of the output. Lets compiled programs update state in place.
 */
export const inPlaceOutputs: Partial<Record<RoutineName, Readonly<Record<number, number>>>> = { stateUpdate: { 1: 0 } };
