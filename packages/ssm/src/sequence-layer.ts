import type { Tensor } from '@mamba-ts/tensor';

/**
 * The state of a layer between two steps: named tensors whose first axis is the batch. A value: cloning, saving and rolling back are what they
 * are for any tensors. Layers without constant-size state (Hyena, attention) carry their history, whose second axis grows.
 */
export type LayerState = { readonly [name: string]: Tensor };

export interface SequenceOptions {
  /** int32 (batch, length): non-zero where a new packed sequence starts; nothing flows across. */
  readonly resets?: Tensor;
  /** (batch, length, dModel), or (batch, dModel) in `step`: the output is multiplied by silu(gate). Layers with a fused kernel do it there. */
  readonly gate?: Tensor;
  /** For a layer whose block projects its Δ, B and C (SSD in a Mamba-2 block). */
  readonly selection?: Selection;
}

/** What depends on the input in a selective layer, projected by the block around it, (batch, length, …) or (batch, …). */
export interface Selection {
  /** (…, groups · dState) */
  readonly B: Tensor;
  /** (…, groups · dState) */
  readonly C: Tensor;
  /** Before bias and softplus: (…, heads) */
  readonly dt: Tensor;
}

/** As `SequenceOptions`, of one sample. */
export type StepOptions = Omit<SequenceOptions, 'resets'>;

/**
 * A causal sequence-to-sequence layer of constant width: what an ablation swaps. `forward` over L samples equals L calls of `step`, and
 * `prefill` of a prefix followed by either equals `forward` of the whole.
 */
export interface SequenceLayer<State extends LayerState = LayerState> {
  /** Width of input and output. */
  readonly dModel: number;
  /** False where a step costs more the longer the history is (Hyena, attention). */
  readonly constantState: boolean;
  /** (batch, length, dModel) → (batch, length, dModel), for training. */
  forward(x: Tensor, options?: SequenceOptions): Tensor;
  /** As `forward`, continuing from `state`, and the state after the last sample. */
  prefill(x: Tensor, state?: State, options?: SequenceOptions): [Tensor, State];
  /**
   * One sample: (batch, dModel) → (batch, dModel) and the next state. What it works out from the parameters alone (a discretisation)
   * is `derived`, so that a compiled step does it once.
   */
  step(x: Tensor, state: State, options?: StepOptions): [Tensor, State];
  /** The state before the first sample. */
  initialState(batch: number): State;
}
