export type { InnerLayer, InnerLayerOptions, Layer } from './blocks/block';
export { AttentionBlock, type AttentionBlockConfig } from './blocks/attention';
export type { RotaryConfig } from './blocks/rotary';
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
export {
  fromHuggingFaceMambaConfig,
  fromMambaConfig,
  type MambaConfig,
  mambaKeyFromHuggingFace,
  mambaModels,
} from './mamba';
export { fromHuggingFaceMamba2Config, fromMamba2Config, mamba2Models } from './mamba2';
export { parameterCount, parameterShapes } from './parameter-shapes';
export { shapeDevice } from './shape-device';
export { generate, type GenerateOptions } from './generate';
export { Decoder } from './decoder';
export { checkSampling, type Choice, sampleToken, type SamplingOptions } from './sampling';
