import {
  type DeferredTensor,
  type SafetensorsDtype,
  bytesPerElement,
  stateDictTensors,
  streamSafetensors,
  streamTorchFile,
} from '@mamba-ts/nn';
import { checkChoice, checkKeys, checkSize } from '@mamba-ts/ssm';
import { sizeOf } from '@mamba-ts/tensor';
import type { LanguageModel } from '../language-model';
import { fileNames } from './files';
import { type CheckpointFormat, type Layout, layouts } from './format';
import { formatForModel } from './formats';
import { writeFolder } from './write-folder';

export interface SavePretrainedOptions {
  /** Default `huggingface`. */
  readonly layout?: Layout;
  /** Safetensors files are cut where the next tensor would make them larger. Default 5 GB, as transformers does. */
  readonly shardBytes?: number;
}

/** A file to be written: its bytes come piece by piece, when they are asked for. */
export interface PretrainedFile {
  readonly name: string;
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

const DEFAULT_SHARD_BYTES = 5e9;

/**
 * Saves a model in a public layout: `official` is config.json and pytorch_model.bin, `huggingface` is config.json and
 * safetensors, sharded where it is large. Weights are written as they are stored, bit for bit, one tensor at a time.
 *
 * Node only; `pretrainedFiles` gives the same files as streams for any host.
 *
 * @param folder is made if it is not there; one with weights of other names in it is refused
 * @throws OutOfRangeError for a model that no released checkpoint could be (saveStateDict writes any model)
 */
export async function savePretrained(
  model: LanguageModel,
  folder: string,
  options: SavePretrainedOptions = {},
): Promise<void> {
  await writeFolder(folder, pretrainedFiles(model, options));
}

/** The files of a checkpoint as streams, config.json first. */
export function pretrainedFiles(model: LanguageModel, options: SavePretrainedOptions = {}): PretrainedFile[] {
  const { layout, shardBytes } = checkOptions(options);
  const format = formatForModel(model.config, layout);
  return checkpointFiles({
    format,
    config: format.writeConfig(model.config),
    tensors: stateDictTensors(model),
    tied: model.config.tieEmbeddings ?? true,
    shardBytes,
  });
}

export function checkOptions(options: SavePretrainedOptions): Required<SavePretrainedOptions> {
  checkKeys('savePretrained', options, { layout: true, shardBytes: true });
  const { layout = 'huggingface', shardBytes = DEFAULT_SHARD_BYTES } = options;
  checkChoice('savePretrained', 'layout', layout, layouts);
  checkSize('savePretrained', 'shardBytes', shardBytes);
  return { layout, shardBytes };
}

/** A checkpoint as data. */
export interface CheckpointContent {
  readonly format: CheckpointFormat;
  readonly config: Readonly<Record<string, unknown>>;
  /** By the model's keys, each variable once. */
  readonly tensors: ReadonlyMap<string, DeferredTensor>;
  /** Whether the head is the embedding. */
  readonly tied: boolean;
  readonly shardBytes: number;
}

const embeddingKey = 'backbone.embedding.weight';
const headKey = 'lm_head.weight';

export function checkpointFiles({ format, config, tensors, tied, shardBytes }: CheckpointContent): PretrainedFile[] {
  const named = new Map([...tensors].map(([key, tensor]) => [format.toFile(key), tensor]));
  if (format.layout === 'official') {
    // PyTorch keeps both names of a tied weight, over one memory.
    if (tied) named.set(format.toFile(headKey), tensors.get(embeddingKey)!);
    return [jsonFile(fileNames.config, config), { name: fileNames.torch, pieces: () => streamTorchFile(named) }];
  }
  const dtype = torchNames[tensors.get(embeddingKey)!.dtype];
  return [jsonFile(fileNames.config, { ...config, dtype }), ...safetensorsFiles(named, shardBytes)];
}

/** The `dtype` of transformers' config.json. */
const torchNames: Partial<Record<SafetensorsDtype, string>> = { F32: 'float32', BF16: 'bfloat16', F16: 'float16' };

function safetensorsFiles(tensors: ReadonlyMap<string, DeferredTensor>, shardBytes: number): PretrainedFile[] {
  const shards = split(tensors, shardBytes);
  // transformers refuses files that do not say so.
  const metadata = { format: 'pt' };
  if (shards.length === 1) return [{ name: fileNames.safetensors, pieces: () => streamSafetensors(tensors, metadata) }];
  const number = (n: number): string => String(n).padStart(5, '0');
  const names = shards.map((_, i) => `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`);
  const index = {
    metadata: { total_size: [...tensors.values()].reduce((sum, tensor) => sum + byteLength(tensor), 0) },
    weight_map: Object.fromEntries(shards.flatMap((shard, i) => [...shard.keys()].map((key) => [key, names[i]]))),
  };
  return [
    ...shards.map((shard, i) => ({ name: names[i], pieces: () => streamSafetensors(shard, metadata) })),
    jsonFile(fileNames.safetensorsIndex, index),
  ];
}

function split(tensors: ReadonlyMap<string, DeferredTensor>, shardBytes: number): Map<string, DeferredTensor>[] {
  const shards = [new Map<string, DeferredTensor>()];
  let bytes = 0;
  for (const [key, tensor] of tensors) {
    if (bytes > 0 && bytes + byteLength(tensor) > shardBytes) {
      shards.push(new Map());
      bytes = 0;
    }
    shards[shards.length - 1].set(key, tensor);
    bytes += byteLength(tensor);
  }
  return shards;
}

function byteLength({ dtype, shape }: DeferredTensor): number {
  return sizeOf(shape) * bytesPerElement(dtype);
}

function jsonFile(name: string, value: object): PretrainedFile {
  return {
    name,
    async *pieces() {
      yield new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
    },
  };
}
