import { cumsum, indices, type Tensor, where } from '@mamba-ts/tensor';

/** What the recurrence runs on. Heads share B and C within their group: head h belongs to group ⌊h · groups / heads⌋. */
export interface SsdOperands {
  /** Δ_t x_t: (batch, length, heads, headDim) */
  readonly x: Tensor;
  /** ln a_t = Δ_t A ≤ 0: (batch, length, heads) */
  readonly logDecay: Tensor;
  /** (batch, length, groups, dState) */
  readonly B: Tensor;
  /** (batch, length, groups, dState) */
  readonly C: Tensor;
  /** (batch, heads, headDim, dState); zeros if absent */
  readonly initialState?: Tensor;
  /** int32 (batch, length): non-zero where a new packed sequence starts */
  readonly resets?: Tensor;
}

/**
 * Σ_{j<k≤i} a_k for every pair (i, j), −∞ above the diagonal: (…, T) → (…, T, T). A running sum of masked terms rather
 * than the difference of two prefix sums, which cancels where the sums are long.
 *
 * Pairs between which a sequence ends, i.e. whose `segments` (…, T) differ, are −∞ too.
 */
function segmentSums(a: Tensor, segments?: Tensor): Tensor {
  const axis = a.shape.length - 1;
  const shape = [...a.shape, a.shape[axis]];
  const row = indices(shape, axis, { device: a.device });
  const column = indices(shape, axis + 1, { device: a.device });
  const terms = where(row.greater(column), a.unsqueeze(-1).expand(...shape), 0);
  const reached = row.greaterEqual(column);
  const joined = segments ? reached.and(segments.unsqueeze(-1).equal(segments.unsqueeze(-2))) : reached;
  return where(joined, cumsum(terms, axis), -Infinity);
}

/**
 * The state space dual form (Mamba-2, arXiv 2405.21060, §6) of h_t = a_t h_{t−1} + x_t B_tᵀ, y_t = h_t C_t: quadratic in
 * chunks of `chunkSize` steps, linear across them, all of it matrix products.
 *
 * @returns y (batch, length, heads, headDim) and the state after the last step (batch, heads, headDim, dState)
 */
export function chunkedSsd(operands: SsdOperands, chunkSize: number): [Tensor, Tensor] {
  const [batch, length, heads, headDim] = operands.x.shape;
  const [, , groups, dState] = operands.B.shape;
  const perGroup = heads / groups;
  const size = Math.min(chunkSize, length);
  const chunks = Math.ceil(length / size);
  // Steps behind the end: no input, no decay.
  const cut = (t: Tensor): Tensor =>
    t.pad(1, 0, chunks * size - length).reshape(batch, chunks, size, ...t.shape.slice(2));
  const x = cut(operands.x).permute(0, 1, 3, 2, 4); // (batch, chunks, heads, size, headDim)
  const logDecay = cut(operands.logDecay).permute(0, 1, 3, 2); // (batch, chunks, heads, size)
  const B = cut(operands.B).permute(0, 1, 3, 2, 4); // (batch, chunks, groups, size, dState)
  const C = cut(operands.C).permute(0, 1, 3, 2, 4);
  const count = operands.resets && cumsum(operands.resets.notEqual(0).cast('float32'), 1);
  // Sequences that have begun, up to each step: (batch, chunks, 1, size), and before each chunk and at the end.
  const begun = count && last(count, chunks * size).reshape(batch, chunks, 1, size);
  const begunBefore =
    begun &&
    begun
      .slice(3, size - 1)
      .reshape(batch, chunks)
      .pad(1, 1, 0);

  // 1. Inside the chunks: y_t = Σ_{s≤t} e^{Σ_{s<r≤t} ln a_r} (C_t · B_s) x_s.
  const sums = segmentSums(logDecay, begun?.expand(...logDecay.shape));
  const decay = sums.exp().reshape(batch, chunks, groups, perGroup, size, size);
  const scores = C.matmul(B, { transposeB: true }).unsqueeze(3);
  const inside = scores.mul(decay).reshape(batch, chunks, heads, size, size).matmul(x);

  // 2. What each chunk adds to the state at its end: Σ_s e^{Σ_{s<r≤Q} ln a_r} x_s B_sᵀ.
  const toEnd = decay.slice(4, size - 1).reshape(batch, chunks, heads, size, 1);
  const added = x
    .mul(toEnd)
    .reshape(batch, chunks, groups, perGroup, size, headDim)
    .permute(0, 1, 2, 3, 5, 4)
    .reshape(batch, chunks, groups, perGroup * headDim, size)
    .matmul(B)
    .reshape(batch, chunks, heads, headDim * dState);

  // 3. The state at each chunk's start, the same sum one level up: chunk decays between the initial state and the states
  //    that the chunks added.
  const total = logDecay.sum(3).permute(0, 2, 1).pad(2, 1, 0); // (batch, heads, chunks + 1)
  const passed = segmentSums(total, begunBefore?.unsqueeze(1).expand(...total.shape)).exp();
  const before = operands.initialState?.reshape(batch, heads, 1, headDim * dState);
  const parts = added.permute(0, 2, 1, 3);
  const entered = before ? parts.pad(2, 1, 0).add(before.pad(2, 0, chunks)) : parts.pad(2, 1, 0);
  const states = passed.matmul(entered); // (batch, heads, chunks + 1, headDim · dState)

  // 4. From the state at a chunk's start to its outputs: e^{Σ_{r≤t} ln a_r} C_t h.
  const incoming = states
    .slice(2, 0, chunks)
    .permute(0, 2, 1, 3)
    .reshape(batch, chunks, groups, perGroup * headDim, dState);
  let fromStart = cumsum(logDecay, 3).exp();
  if (begun && begunBefore) {
    const same = begun.equal(begunBefore.slice(1, 0, chunks).reshape(batch, chunks, 1, 1));
    fromStart = fromStart.mul(same.cast('float32'));
  }
  const across = C.matmul(incoming, { transposeB: true })
    .reshape(batch, chunks, groups, size, perGroup, headDim)
    .permute(0, 1, 2, 4, 3, 5)
    .reshape(batch, chunks, heads, size, headDim)
    .mul(fromStart.unsqueeze(-1));

  const y = inside
    .add(across)
    .permute(0, 1, 3, 2, 4)
    .reshape(batch, chunks * size, heads, headDim);
  return [
    chunks * size === length ? y : y.slice(1, 0, length),
    states.slice(2, chunks).reshape(batch, heads, headDim, dState),
  ];
}

/** (batch, length) → (batch, target): the last value goes on. */
function last(count: Tensor, target: number): Tensor {
  const [batch, length] = count.shape;
  if (target === length) return count;
  const end = count.slice(1, length - 1).expand(batch, target - length);
  return count.pad(1, 0, target - length).add(end.pad(1, length, 0));
}
