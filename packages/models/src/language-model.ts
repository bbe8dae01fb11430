import { crossEntropyLoss, Module, parameter, type Precision, project, withPrecision } from '@mamba-ts/nn';
import { checkKeys, checkSize, type LayerState } from '@mamba-ts/ssm';
import {
  formatShape,
  OutOfRangeError,
  type RandomGenerator,
  scope,
  ShapeError,
  type Tensor,
  type Variable,
} from '@mamba-ts/tensor';
import { Backbone, type BackboneConfig } from './backbone';

export interface LanguageModelConfig extends BackboneConfig {
  /** Tokens that exist. */
  readonly vocabSize: number;
  /** The tables have this many rows or a few more, up to a multiple of it. Default 8. */
  readonly padVocabSizeMultiple?: number;
  /** The head is the embedding, transposed. Default true. */
  readonly tieEmbeddings?: boolean;
}

export interface LanguageModelOptions {
  /** int32 (batch, length): non-zero where a new packed sequence starts. */
  readonly resets?: Tensor;
  /** What the operands of matrix products are rounded to (see `withPrecision` of nn). Default: as set around the call, else float32. */
  readonly precision?: Precision;
}

function inPrecision<R>(precision: Precision | undefined, body: () => R): R {
  return precision === undefined ? body() : withPrecision(precision, body);
}

/** Features to logits. */
export class Head extends Module {
  /** (padded vocabulary, dModel) */
  readonly weight: Variable;

  constructor(weight: Variable) {
    super();
    this.weight = weight;
  }

  forward(x: Tensor): Tensor {
    return project(x, this.weight);
  }
}

const settings: Readonly<Record<keyof LanguageModelConfig, true>> = {
  vocabSize: true,
  dModel: true,
  nLayer: true,
  block: true,
  layer: true,
  blockAt: true,
  norm: true,
  normEpsilon: true,
  padVocabSizeMultiple: true,
  tieEmbeddings: true,
};

/**
 * A causal language model: embedding → nLayer × (norm → block → residual) → norm → head. Mamba with block `mamba` and
 * layer `s6`; any other pair is an ablation of it.
 *
 * Parameter paths are the keys of the released Mamba checkpoints.
 */
export class LanguageModel extends Module {
  readonly config: LanguageModelConfig;
  readonly backbone: Backbone;
  readonly lm_head: Head;

  /** @throws OutOfRangeError for a config that makes no sense */
  constructor(config: LanguageModelConfig, random: RandomGenerator) {
    super();
    checkKeys('LanguageModel', config, settings);
    const {
      vocabSize,
      dModel,
      nLayer,
      norm = 'rms',
      normEpsilon = 1e-5,
      padVocabSizeMultiple = 8,
      tieEmbeddings = true,
    } = config;
    checkSize('LanguageModel', 'vocabSize', vocabSize);
    checkSize('LanguageModel', 'dModel', dModel);
    checkSize('LanguageModel', 'nLayer', nLayer, 1, 10_000);
    checkSize('LanguageModel', 'padVocabSizeMultiple', padVocabSizeMultiple);
    if (norm !== 'rms' && norm !== 'layer')
      throw new OutOfRangeError(`LanguageModel: norm is ${JSON.stringify(norm)}, expected one of rms, layer`);
    if (!(normEpsilon > 0))
      throw new OutOfRangeError(`LanguageModel: normEpsilon is ${normEpsilon}, expected a number > 0`);
    this.config = config;
    const rows = Math.ceil(vocabSize / padVocabSizeMultiple) * padVocabSizeMultiple;
    // If a part refuses its config, the scope frees those made before it.
    [this.backbone, this.lm_head] = scope(() => {
      const backbone = new Backbone(rows, config, random);
      // An untied head starts as PyTorch's linear layers do.
      const bound = 1 / Math.sqrt(dModel);
      return [
        backbone,
        new Head(
          tieEmbeddings
            ? backbone.embedding.weight
            : parameter(random.uniform([rows, dModel], -bound, bound), { halfPrecision: true }),
        ),
      ];
    });
  }

  /** Tokens that exist: logits beyond belong to no token. */
  get vocabSize(): number {
    return this.config.vocabSize;
  }

  /** Number of logits. */
  get paddedVocabSize(): number {
    return this.lm_head.weight.shape[0];
  }

  /** Does a step cost the same however long the history is? */
  get constantState(): boolean {
    return this.backbone.constantState;
  }

  /**
   * int32 ids (batch, length) → logits (batch, length, paddedVocabSize). An id outside the table is an OutOfRangeError
   * when computed.
   */
  forward(ids: Tensor, options: LanguageModelOptions = {}): Tensor {
    checkIds(ids, 2);
    return inPrecision(options.precision, () => this.lm_head.forward(this.backbone.forward(ids, options)));
  }

  /**
   * Mean −log p(target) in nats over the targets that are not `ignoreIndex` (default −100).
   *
   * @param targets int32 (batch, length): for each position the token after it
   */
  loss(ids: Tensor, targets: Tensor, options: LanguageModelOptions & { readonly ignoreIndex?: number } = {}): Tensor {
    return crossEntropyLoss(this.forward(ids, options), targets, { ignoreIndex: options.ignoreIndex });
  }

  /**
   * As `forward`, continuing from `state`, with the state after the last token. `logits: 'last'` computes those of the
   * last position only, (batch, paddedVocabSize), which is all that generation needs.
   */
  prefill(
    ids: Tensor,
    state?: LayerState,
    options: LanguageModelOptions & { readonly logits?: 'all' | 'last' } = {},
  ): [Tensor, LayerState] {
    checkIds(ids, 2);
    return inPrecision(options.precision, () => {
      const [x, next] = this.backbone.prefill(ids, state, { resets: options.resets });
      const last = (): Tensor => x.slice(1, x.shape[1] - 1).squeeze(1);
      return [this.lm_head.forward(options.logits === 'last' ? last() : x), next];
    });
  }

  /** One token a sequence: int32 ids (batch) → logits (batch, paddedVocabSize) and the next state. */
  step(ids: Tensor, state: LayerState, options: Pick<LanguageModelOptions, 'precision'> = {}): [Tensor, LayerState] {
    checkIds(ids, 1);
    return inPrecision(options.precision, () => {
      const [x, next] = this.backbone.step(ids, state);
      return [this.lm_head.forward(x), next];
    });
  }

  /** The state before the first token: tensors by name, the batch first. */
  initialState(batch: number): LayerState {
    checkSize('LanguageModel', 'batch', batch);
    return this.backbone.initialState(batch);
  }
}

function checkIds(ids: Tensor, rank: number): void {
  if (ids.shape.length !== rank || ids.dtype !== 'int32' || ids.size === 0) {
    const expected = rank === 2 ? 'batch, length' : 'batch';
    throw new ShapeError(
      `LanguageModel: ids is ${ids.dtype} ${formatShape(ids.shape)}, expected int32 (${expected}), not empty`,
    );
  }
}
