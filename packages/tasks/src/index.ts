export { CounterRandom } from './counter-random';
export { TaskError } from './errors';
export { InductionHeads, type InductionHeadsOptions, inductionHeadsAnswer } from './induction-heads';
export { type Accuracy, bitsPerByte, sequenceAccuracy, tokenAccuracy } from './metrics';
export { SelectiveCopying, type SelectiveCopyingOptions, writeSelectiveCopying } from './selective-copying';
export { BigramModel, gzipBitsPerByte, primedGzipBitsPerByte } from './text-baselines';
export { TextWindows, type TextWindowsOptions } from './text-windows';
export { ignoreIndex, type TokenBatch, type TokenTask } from './token-task';
