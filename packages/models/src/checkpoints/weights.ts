import {
  openSafetensors,
  openShardedSafetensors,
  openTorchFile,
  type RandomAccessSource,
  type SafetensorsReader,
} from '@mamba-ts/nn';
import { CheckpointError } from './checkpoint-error';
import { type CheckpointFiles, fileNames, readFile } from './files';

/**
 * The tensors of a checkpoint, to be read one by one: safetensors in one file or in shards, or a file of PyTorch,
 * whichever is there, in this order.
 */
export async function openWeights(files: CheckpointFiles): Promise<SafetensorsReader> {
  const { safetensors, safetensorsIndex, torch } = fileNames;
  if (await files.has(safetensors)) return closing(await files.open(safetensors), openSafetensors);
  if (await files.has(safetensorsIndex))
    return openShardedSafetensors(await readFile(files, safetensorsIndex), (shard) => files.open(shard));
  if (await files.has(torch)) return closing(await files.open(torch), openTorchFile);
  throw new CheckpointError(`${files.name}: there is no ${safetensors}, ${safetensorsIndex} or ${torch}`);
}

/** A source that cannot be opened is closed. */
async function closing(
  source: RandomAccessSource,
  open: (source: RandomAccessSource) => Promise<SafetensorsReader>,
): Promise<SafetensorsReader> {
  try {
    return await open(source);
  } catch (error) {
    await source.close?.();
    throw error;
  }
}
