import {
  openOrClose,
  openSafetensors,
  openShardedSafetensors,
  openShardedTorchFiles,
  openTorchFile,
  type RandomAccessSource,
  type SafetensorsReader,
} from '@mamba-ts/nn';
import { CheckpointError } from './checkpoint-error';
import { type CheckpointFiles, fileNames, readFile } from './files';

/**
 * The tensors of a checkpoint, to be read one by one: safetensors or files of PyTorch, in one file or in shards,
 * whichever is there, in this order.
 */
export async function openWeights(files: CheckpointFiles): Promise<SafetensorsReader> {
  const { safetensors, safetensorsIndex, torch, torchIndex } = fileNames;
  const openShard = async (shard: string): Promise<RandomAccessSource> => {
    if (!(await files.has(shard)))
      throw new CheckpointError(`${files.name}: there is no ${shard}, which the index lists`);
    return files.open(shard);
  };
  if (await files.has(safetensors)) return openOrClose(await files.open(safetensors), openSafetensors);
  if (await files.has(safetensorsIndex))
    return openShardedSafetensors(await readFile(files, safetensorsIndex), openShard);
  if (await files.has(torch)) return openOrClose(await files.open(torch), openTorchFile);
  if (await files.has(torchIndex)) return openShardedTorchFiles(await readFile(files, torchIndex), openShard);
  throw new CheckpointError(
    `${files.name}: there is no ${safetensors}, ${safetensorsIndex}, ${torch} or ${torchIndex}`,
  );
}
