export type { InnerLayer, InnerLayerOptions, Layer } from './blocks/block';
export { AttentionBlock, type AttentionBlockConfig } from './blocks/attention';
export type { RotaryConfig } from './blocks/rotary';
export { H3Block, type H3BlockConfig } from './blocks/h3';
export { PlainBlock, type PlainBlockConfig } from './blocks/plain';
export { MambaBlock, type MambaBlockConfig } from './blocks/mamba';
export { Mamba2Block, type Mamba2BlockConfig } from './blocks/mamba2';
export {
  type BlockChoice,
  type BlockConfigs,
  type BlockContext,
  blocks,
  type LayerChoice,
  type LayerConfigs,
  type LayerContext,
  layers,
  makeBlock,
  makeLayer,
} from './kinds';
export { Backbone, type BackboneConfig, ResidualLayer } from './backbone';
export { Head, LanguageModel, type LanguageModelConfig, type LanguageModelOptions } from './language-model';
export { type CheckpointFormat, type Layout, layouts } from './checkpoints/format';
export { checkpointFormats, formatForModel, formatOfConfig } from './checkpoints/formats';
export type { MambaConfig } from './checkpoints/official';
export { fromMambaConfig, mambaOfficial } from './checkpoints/mamba-official';
export { fromHuggingFaceMambaConfig, mambaHuggingFace, mambaKeyFromHuggingFace } from './checkpoints/mamba-huggingface';
export { fromMamba2Config, mamba2Official } from './checkpoints/mamba2-official';
export { fromHuggingFaceMamba2Config, mamba2HuggingFace } from './checkpoints/mamba2-huggingface';
export { CheckpointError } from './checkpoints/checkpoint-error';
export {
  type CheckpointFiles,
  folderFiles,
  memoryFiles,
  readJson as readCheckpointJson,
} from './checkpoints/files';
export { hubFiles, isHubId } from './checkpoints/hub';
export type { HubOptions, LoadProgress } from './checkpoints/hub-options';
export {
  fromPretrained,
  type FromPretrainedOptions,
  openCheckpoint,
  type Pretrained,
  type WeightsDtype,
  weightsDtypes,
} from './checkpoints/load';
export { type PretrainedFile, pretrainedFiles, savePretrained, type SavePretrainedOptions } from './checkpoints/save';
export { convertCheckpoint, type ConvertOptions } from './checkpoints/convert';
export { openWeights } from './checkpoints/weights';
export { mamba2Models, mambaModels } from './checkpoints/released-models';
export { parameterCount, parameterShapes } from './parameter-shapes';
export { shapeDevice } from './shape-device';
export {
  type BatchChoice,
  generate,
  generateBatch,
  type GenerateBatchOptions,
  type GenerateOptions,
  type Generation,
  resumeGeneration,
  resumeGenerationBatch,
} from './generation/generate';
export type { GenerationOptions, TokenText } from './generation/options';
export type { Choice, FinishReason } from './generation/row';
export {
  decodeSnapshot,
  encodeSnapshot,
  type GenerationSnapshot,
  type SavedTensor,
  type SnapshotRow,
} from './generation/snapshot';
export { BatchDecoder, Decoder, type Logits } from './generation/decoder';
export {
  checkSampling,
  sampleToken,
  type SamplingOptions,
  type TokenLogprob,
  topLogprobs,
} from './generation/sampling';
