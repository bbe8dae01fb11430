import type { LanguageModelConfig } from '@mamba-ts/models';
import { formatCount, type MachineFacts, type TrainingHistory, type Validation } from '@mamba-ts/train';
import type { Baseline } from '../run/task';
import type { TaskConfig, TrainingConfig } from '../study/study';

export type RowState = 'finished' | 'interrupted' | 'diverged' | 'not run';

export interface SampleReport {
  readonly prompt: string;
  readonly text: string;
  readonly bytes: number;
  readonly temperature: number;
  readonly bytesPerSecond: number;
}

/** One model: what it was, and how it did. */
export interface RowReport {
  readonly name: string;
  readonly block: string;
  readonly layer: string;
  readonly paper: string | null;
  readonly state: RowState;
  /** Why it diverged. */
  readonly error: string | null;
  readonly model: LanguageModelConfig;
  readonly training: Required<TrainingConfig>;
  /** Trainable scalars. */
  readonly parameters: number;
  readonly stepsDone: number;
  /** The latest; null if there was none. */
  readonly validation: Validation | null;
  /** Of that validation, for text. */
  readonly bitsPerByte: number | null;
  readonly seconds: number;
  readonly tokensPerSecond: number | null;
  readonly history: TrainingHistory;
  readonly sample: SampleReport | null;
}

export interface PartReport {
  readonly title: string;
  readonly why: string | null;
  /** Sizes of task, models and training, in words; of models and training those of the first row. */
  readonly scale: string;
  readonly paperScale: string | null;
  readonly task: TaskConfig & {
    readonly description: string;
    readonly tokensPerRow: number;
    readonly scoredPerRow: number;
  };
  readonly solvedAt: number | null;
  /** Accuracy of guessing; null for text. */
  readonly chance: number | null;
  readonly baselines: readonly Baseline[];
  readonly rows: readonly RowReport[];
  /** The comparison in a sentence; null until all rows have finished. */
  readonly finding: string | null;
}

/** report.json. */
export interface StudyReport {
  readonly format: 'mamba-ts/ablation-report';
  readonly version: 1;
  readonly title: string;
  readonly lead: string | null;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** Whether all rows were run. */
  readonly finished: boolean;
  readonly seed: number;
  readonly device: { readonly name: string; readonly threads: number | null; readonly peakBytes: number };
  readonly machine: MachineFacts;
  readonly versions: Readonly<Record<string, string>>;
  /** From start to report. */
  readonly seconds: number;
  readonly parts: readonly PartReport[];
}

/** Whether a row was trained to the end and reached the part's accuracy. */
export function isSolved({ solvedAt }: Pick<PartReport, 'solvedAt'>, { state, validation }: RowReport): boolean {
  return state === 'finished' && validation !== null && validation.accuracy >= (solvedAt ?? 0.95);
}

export function stateText({ state, stepsDone, training }: Pick<RowReport, 'state' | 'stepsDone' | 'training'>): string {
  switch (state) {
    case 'diverged':
      return `diverged at step ${formatCount(stepsDone)}`;
    case 'interrupted':
      return `interrupted at step ${formatCount(stepsDone)} of ${formatCount(training.steps)}`;
    default:
      return state;
  }
}
