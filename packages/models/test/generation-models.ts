import type { Device } from '@mamba-ts/tensor';
import type { LanguageModel, LanguageModelConfig } from '../src/index';
import { build } from './checkpoint-folders';

/** A model that prefers different tokens: embeddings of deviation 0.02 make all alike. */
export async function opinionated(device: Device, changes: Partial<LanguageModelConfig> = {}): Promise<LanguageModel> {
  const model = build(device, { layer: { kind: 's6', dState: 4 }, padVocabSizeMultiple: 16, ...changes }, 2);
  const { weight } = model.backbone.embedding;
  weight.write(Float64Array.from(await weight.data(), (v) => v * 60));
  return model;
}
