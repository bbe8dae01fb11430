import type { BlockChoice, LanguageModelConfig, LayerChoice } from '@mamba-ts/models';

/** What a config file exports: some parts, each a table of layers × blocks on one task. */
export interface Study {
  readonly title: string;
  /** One or two sentences under the title. */
  readonly lead?: string;
  /** Of data, initial values and samples. Default 1; `--seed` wins. */
  readonly seed?: number;
  readonly parts: readonly Part[];
}

/** One task, and the models that are compared on it. */
export interface Part {
  readonly title: string;
  /** What the task shows and why that matters; printed before it starts. */
  readonly why?: string;
  /** The paper's setting, in the words of ours (`context 4,096 · …`); printed below it. */
  readonly paperScale?: string;
  readonly task: TaskConfig;
  readonly model: ModelConfig;
  readonly training: TrainingConfig;
  /** One model a line. */
  readonly rows: readonly Row[];
  /** A row solves the task from this accuracy on. */
  readonly solvedAt?: number;
  /** Text tasks: what the trained models go on from. */
  readonly sample?: SampleConfig;
}

export interface Row {
  readonly block: BlockChoice;
  readonly layer: LayerChoice;
  /** Default: block + layer. */
  readonly name?: string;
  /** What the paper reports, for the table. */
  readonly paper?: string;
  /** Settings of this row alone. */
  readonly model?: Partial<ModelConfig>;
  readonly training?: Partial<TrainingConfig>;
}

export type TaskConfig =
  | {
      readonly kind: 'selective-copying';
      readonly contextLength: number;
      readonly dataTokens: number;
      readonly vocabSize: number;
      readonly validationRows?: number;
    }
  | {
      readonly kind: 'induction-heads';
      readonly length: number;
      readonly vocabSize: number;
      readonly validationRows?: number;
    }
  | {
      readonly kind: 'text';
      /** Relative to the config file. */
      readonly file: string;
      /** Bytes a model sees in a row. */
      readonly length: number;
      readonly validationFraction?: number;
      readonly validationBytes?: number;
    };

/** Everything of a language model but its vocabulary (the task's) and its block and layer (the row's). */
export type ModelConfig = Omit<LanguageModelConfig, 'vocabSize' | 'block' | 'layer'>;

export interface TrainingConfig {
  /** Updates; `--steps` wins. */
  readonly steps: number;
  /** Sequences per update. */
  readonly batch: number;
  /** Peak learning rate of AdamW. Layers that bring their own for some parameters (S4D) keep it. */
  readonly learningRate: number;
  /** Updates of linear warm-up; default 0. Never more than a tenth of the steps. */
  readonly warmup?: number;
  /** After the warm-up; default cosine. Linear and cosine go down to a tenth. */
  readonly schedule?: 'constant' | 'linear' | 'cosine';
  /** Default 0.01. */
  readonly weightDecay?: number;
  /** AdamW's; default 0.999. */
  readonly beta2?: number;
  /** Gradients are scaled down to this norm; default 1, null leaves them. */
  readonly clipNorm?: number | null;
  /** Validations on the way, for the curves; default 10. */
  readonly validations?: number;
}

export interface SampleConfig {
  readonly prompt: string;
  /** Bytes to generate. */
  readonly bytes: number;
  /** Default 0: the likeliest byte. */
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
}
