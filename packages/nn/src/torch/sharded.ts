import { SafetensorsError, type SafetensorsErrorCode } from '../safetensors/error';
import type { SafetensorsReader } from '../safetensors/reader';
import { readShardIndex, type ShardIndex } from '../safetensors/shard-index';
import { joinShards, openOrClose } from '../safetensors/sharded';
import type { RandomAccessSource } from '../safetensors/source';
import { TorchFileError, type TorchFileErrorCode } from './error';
import { defaultLimits, type TorchFileLimits } from './limits';
import { openTorchFile } from './reader';

/**
 * Opens a checkpoint that was saved as several files: what each lists now, tensors on demand. Tensors of the files that
 * the index does not list are not part of the checkpoint.
 *
 * @param index text of `pytorch_model.bin.index.json`; the limits of pickles are those of the index too
 * @param openShard opens one file by its plain name
 * @throws TorchFileError `invalid-index`, `unsafe-path` for a file that is not a plain `*.bin` name, `missing-tensor` when
 *   a listed tensor is not in its file, `duplicate-tensor` when it is in another one too
 */
export async function openShardedTorchFiles(
  index: string | Uint8Array,
  openShard: (file: string) => RandomAccessSource | Promise<RandomAccessSource>,
  limits: TorchFileLimits = {},
): Promise<SafetensorsReader> {
  return joinShards(
    parseIndex(index, limits),
    async (file) => openOrClose(await openShard(file), (source) => openTorchFile(source, limits)),
    (what, message) => new TorchFileError(what, message),
  );
}

/** The few codes of an index file as those of this format. */
const indexCodes: Partial<Record<SafetensorsErrorCode, TorchFileErrorCode>> = {
  limit: 'limit',
  'unsafe-file-name': 'unsafe-path',
};

function parseIndex(index: string | Uint8Array, limits: TorchFileLimits): ShardIndex {
  const { maxPickleBytes, maxTensors } = { ...defaultLimits, ...limits };
  try {
    return readShardIndex(index, 'bin', { maxHeaderBytes: maxPickleBytes, maxTensors });
  } catch (cause) {
    if (!(cause instanceof SafetensorsError)) throw cause;
    const message = cause.message.replace(/^safetensors: /, '');
    throw new TorchFileError(indexCodes[cause.code] ?? 'invalid-index', message, { cause });
  }
}
