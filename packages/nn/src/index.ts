export { Module } from './module';
export { initialized, metadataOf, parameter, type ParameterMetadata } from './parameter';
export { convertWeights } from './convert-weights';
export { type Precision, project, withPrecision } from './precision';
export type { Initializer } from './initializers';
export * as initializers from './initializers';
export { Linear, type LinearOptions } from './layers/linear';
export { Embedding, type EmbeddingOptions } from './layers/embedding';
export { RMSNorm, type RMSNormOptions } from './layers/rms-norm';
export { LayerNorm, type LayerNormOptions } from './layers/layer-norm';
export { Conv1d, type Conv1dInput, type Conv1dOptions, windowAfter } from './layers/conv1d';
export { Dropout } from './layers/dropout';
export { bitsPerByte, crossEntropyLoss, perplexity } from './losses';
export { AdamW, type AdamWOptions } from './optimizer/adamw';
export type { ParameterGroup } from './optimizer/parameter-groups';
export { clipGradientNorm, gradientNorm } from './optimizer/gradient-clipping';
export type { DecayOptions, Schedule } from './schedules';
export * as schedules from './schedules';
export { joinState, type Stateful } from './state/stateful';
export {
  compareStateDict,
  type Described,
  type LoadOptions,
  type LoadReport,
  loadStateDict,
  readStateDict,
  type StateDictDifference,
} from './state/load';
export { saveStateDict, type SaveOptions, stateDictTensors } from './state/save';
export { type MisfitTensor, StateDictError } from './state/state-dict-error';
export * from './safetensors/index';
export * from './torch/index';
