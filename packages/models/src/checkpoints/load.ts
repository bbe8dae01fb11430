import {
  compareStateDict,
  convertWeights,
  type LoadReport,
  readStateDict,
  type SafetensorsReader,
  StateDictError,
} from '@mamba-ts/nn';
import { checkChoice } from '@mamba-ts/ssm';
import { type Device, getDefaultDevice, RandomGenerator } from '@mamba-ts/tensor';
import { LanguageModel, type LanguageModelConfig } from '../language-model';
import { shapeDevice } from '../shape-device';
import { CheckpointError } from './checkpoint-error';
import { type CheckpointFiles, fileNames, folderFiles, readJson } from './files';
import type { CheckpointFormat } from './format';
import { formatOfConfig } from './formats';
import { hubFiles, isHubId } from './hub';
import type { HubOptions } from './hub-options';
import { findFileSystem, isFolder } from './node-files';
import { openWeights } from './weights';

/** What matrices and tables are stored as. */
export type WeightsDtype = 'float32' | 'bfloat16' | 'float16';
export const weightsDtypes: readonly WeightsDtype[] = ['float32', 'bfloat16', 'float16'];

export interface FromPretrainedOptions extends HubOptions {
  /** Default: the default device. */
  readonly device?: Device;
  /** What matrices and tables are stored as; norms, biases, A, D and states are float32 always. Default `float32`. */
  readonly dtype?: WeightsDtype;
  /**
   * Default true: every weight must be in the checkpoint, and nothing else. false: what is missing starts as in a new
   * model, what is unexpected is left out, and the report names both.
   */
  readonly strict?: boolean;
}

export interface Pretrained {
  readonly model: LanguageModel;
  /** Keys that were loaded, and those that `strict: false` let pass. */
  readonly report: LoadReport;
  readonly format: CheckpointFormat;
  /** The checkpoint's files: its tokenizer, say. */
  readonly files: CheckpointFiles;
}

/**
 * Loads a language model from a checkpoint in either public layout, safetensors or `pytorch_model.bin`, in shards too.
 *
 *     const { model } = await fromPretrained('state-spaces/mamba-130m-hf', { dtype: 'bfloat16' });
 *
 * The model's memory is allocated once and filled tensor by tensor; names and shapes are compared before anything is
 * allocated.
 *
 * @param source a folder, a repository of the Hugging Face hub (`owner/name`), or files of your own (`memoryFiles`)
 * @throws CheckpointError if there is none; StateDictError with all missing, unexpected and mis-shaped keys;
 *   OutOfRangeError for a config of another kind of model; SafetensorsError or TorchFileError for malformed files
 */
export async function fromPretrained(
  source: string | CheckpointFiles,
  options: FromPretrainedOptions = {},
): Promise<Pretrained> {
  const { device = getDefaultDevice(), dtype = 'float32', strict = true } = options;
  checkChoice('fromPretrained', 'dtype', dtype, weightsDtypes);
  const files = await openCheckpoint(source, options);
  const json = await readJson(files, fileNames.config);
  const format = formatOfConfig(json);
  const config = format.readConfig(json);
  const reader = await openWeights(files);
  try {
    const model = allocateModel(config, dtype, device, (empty) => {
      const difference = compareStateDict(empty, reader.entries, { rename: format.fromFile });
      const { missing, unexpected, misfit } = difference;
      if (misfit.length > 0 || (strict && missing.length + unexpected.length > 0)) throw new StateDictError(difference);
      return missing.length === 0;
    });
    try {
      const counted = countingReader(reader, options);
      const report = await readStateDict(model, counted, { strict, rename: format.fromFile });
      return { model, report, format, files };
    } catch (error) {
      model.dispose();
      throw error;
    }
  } finally {
    await reader.close();
  }
}

/** The files of a folder or a repository. @throws CheckpointError if `source` is neither */
export async function openCheckpoint(
  source: string | CheckpointFiles,
  options: HubOptions = {},
): Promise<CheckpointFiles> {
  if (typeof source !== 'string') return source;
  const fs = findFileSystem();
  if (fs !== null && (await isFolder(fs, source))) return folderFiles(source);
  if (isHubId(source)) return hubFiles(source, options);
  throw new CheckpointError(
    `fromPretrained: ${JSON.stringify(source)} is no folder, and no repository of the hub (owner/name)`,
  );
}

/**
 * A model with memory on `device`. Built on a device without memory first: if `isComplete` says that a checkpoint has
 * every weight, initial values are never made, and never held beside the weights.
 */
function allocateModel(
  config: LanguageModelConfig,
  dtype: WeightsDtype,
  device: Device,
  isComplete: (empty: LanguageModel) => boolean,
): LanguageModel {
  const shapes = shapeDevice();
  try {
    const empty = buildModel(config, dtype, shapes);
    try {
      if (!isComplete(empty)) return buildModel(config, dtype, device);
      for (const variable of new Set(empty.stateDict().values())) variable.allocateOn(device);
      return empty;
    } catch (error) {
      empty.dispose();
      throw error;
    }
  } finally {
    shapes.dispose();
  }
}

export function buildModel(config: LanguageModelConfig, dtype: WeightsDtype, device: Device): LanguageModel {
  const random = new RandomGenerator(0, device);
  const model = new LanguageModel(config, random);
  random.dispose();
  convertWeights(model, dtype);
  return model;
}

/** Tells of each tensor that is read, and stops when asked to. */
function countingReader(reader: SafetensorsReader, { onProgress, signal }: FromPretrainedOptions): SafetensorsReader {
  const total = reader.entries.size;
  const seen = new Set<string>();
  return {
    ...reader,
    async read(name) {
      signal?.throwIfAborted();
      const tensor = await reader.read(name);
      seen.add(name);
      onProgress?.({ stage: 'load', name, done: seen.size, total });
      return tensor;
    },
  };
}
