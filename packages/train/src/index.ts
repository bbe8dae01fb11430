export { DivergedError, TrainingError } from './errors';
export { describeMachine, type MachineFacts } from './machine';
export { Evaluator, type Score } from './training/evaluator';
export type { TrainingHistory, Validation } from './training/history';
export type { TrainingBatch, TrainingTask } from './training/task';
export {
  Trainer,
  trainer,
  type TrainerOptions,
  type TrainingOptimizer,
  type TrainingProgress,
  type TrainingResult,
} from './training/trainer';
export { formatCount, formatDuration, formatLoss, formatRate } from './progress/format';
export { JsonlLog, type LogFields } from './progress/jsonl-log';
export { ProgressLine, type ProgressLineOptions, type ProgressStream } from './progress/progress-line';
export type { ChartMark, ChartSeries, ReportBlock, ReportDocument, ReportSection } from './report/document';
export { escapeHtml } from './report/escape';
export { renderReport } from './report/render';
export { writeReport, type WrittenReport } from './report/write';
