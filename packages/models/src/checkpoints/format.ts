import type { LanguageModelConfig } from '../language-model';
import type { Fields } from './field-reader';

/**
 * `official`: config.json + pytorch_model.bin, of the models' authors. `huggingface`: config.json + safetensors, of
 * transformers.
 */
export type Layout = 'official' | 'huggingface';
export const layouts: readonly Layout[] = ['official', 'huggingface'];

/** A family of models in one public layout: what its config.json says, and what it calls its tensors. */
export interface CheckpointFormat {
  readonly layout: Layout;
  /** e.g. `mamba` */
  readonly family: string;
  /** Is this its config.json? */
  recognizes(config: Fields): boolean;
  /** @throws OutOfRangeError for fields that are missing, of the wrong type, or ask for what is not here */
  readConfig(config: unknown): LanguageModelConfig;
  /** Can a model of this config be of the family? */
  describes(config: LanguageModelConfig): boolean;
  /** @throws OutOfRangeError for what the layout has no field for */
  writeConfig(config: LanguageModelConfig): Fields;
  /** A tensor's name in the file → the model's key. */
  fromFile(name: string): string;
  /** The model's key → the tensor's name in the file. */
  toFile(key: string): string;
}
