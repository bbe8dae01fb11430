import { OutOfRangeError } from '@mamba-ts/tensor';
import type { LanguageModelConfig } from '../language-model';
import type { FieldReader, Fields } from './field-reader';

/* What the config.json of transformers' Mamba and Mamba-2 have in common. */

const embeddings = { file: 'backbone.embeddings.weight', model: 'backbone.embedding.weight' };

/** The only tensor of transformers' Mamba that has another name. */
export function keyFromHuggingFace(name: string): string {
  return name === embeddings.file ? embeddings.model : name;
}

export function keyToHuggingFace(key: string): string {
  return key === embeddings.model ? embeddings.file : key;
}

/**
 * `vocab_size` counts the rows of the table, padding included. What is padding is in two fields that only this package
 * writes, so that saving and loading gives the same model.
 */
export function readVocabulary(config: FieldReader): Pick<LanguageModelConfig, 'vocabSize' | 'padVocabSizeMultiple'> {
  const rows = config.number('vocab_size');
  const vocabSize = config.number('unpadded_vocab_size', rows);
  const padVocabSizeMultiple = config.number('pad_vocab_size_multiple', 1);
  // Conversions of official checkpoints keep the official field beside a padded vocab_size.
  if (vocabSize === rows) return { vocabSize, padVocabSizeMultiple: 1 };
  if (Math.ceil(vocabSize / padVocabSizeMultiple) * padVocabSizeMultiple !== rows)
    throw new OutOfRangeError(
      `Hugging Face config: vocab_size is ${rows}, expected unpadded_vocab_size ${vocabSize} ` +
        `padded to a multiple of ${padVocabSizeMultiple}`,
    );
  return { vocabSize, padVocabSizeMultiple };
}

/** What both models' files say, but for the layers. @throws OutOfRangeError for a layer norm */
export function commonFields(config: LanguageModelConfig): Fields {
  const { dModel, nLayer, norm = 'rms', normEpsilon = 1e-5, tieEmbeddings = true } = config;
  if (norm !== 'rms')
    throw new OutOfRangeError(
      `huggingface layout: norm is ${JSON.stringify(norm)}, expected "rms", the only one it has`,
    );
  return {
    bos_token_id: 0,
    eos_token_id: 0,
    pad_token_id: 0,
    hidden_act: 'silu',
    hidden_size: dModel,
    num_hidden_layers: nLayer,
    ...writeVocabulary(config),
    layer_norm_epsilon: normEpsilon,
    initializer_range: 0.1,
    rescale_prenorm_residual: false,
    residual_in_fp32: true,
    tie_word_embeddings: tieEmbeddings,
    use_cache: true,
  };
}

function writeVocabulary({ vocabSize, padVocabSizeMultiple = 8 }: LanguageModelConfig): Fields {
  const rows = Math.ceil(vocabSize / padVocabSizeMultiple) * padVocabSizeMultiple;
  if (rows === vocabSize) return { vocab_size: rows };
  return { vocab_size: rows, unpadded_vocab_size: vocabSize, pad_vocab_size_multiple: padVocabSizeMultiple };
}
