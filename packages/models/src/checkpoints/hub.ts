import { blobSource } from '@mamba-ts/nn';
import { CheckpointError } from './checkpoint-error';
import type { CheckpointFiles } from './files';
import { cachedFiles } from './hub-cache';
import type { HubOptions } from './hub-options';
import { HubRepository } from './hub-repository';
import { findFileSystem } from './node-files';

/** `owner/name`, as the hub writes it. */
export function isHubId(text: string): boolean {
  return /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(text) && text.length <= 200;
}

/**
 * The files of a repository of the Hugging Face hub. In Node each is downloaded into the cache that Python's and
 * JavaScript's hub libraries share when it is opened; a download that was cut off is gone on with. Browsers read the
 * ranges that they need.
 *
 * @param id `owner/name`
 */
export async function hubFiles(id: string, options: HubOptions = {}): Promise<CheckpointFiles> {
  if (!isHubId(id)) throw new CheckpointError(`hubFiles: id is ${JSON.stringify(id)}, expected owner/name`);
  const { revision = 'main' } = options;
  if (!/^[\w./-]+$/.test(revision) || revision.split('/').includes('..'))
    throw new CheckpointError(`hubFiles: revision is ${JSON.stringify(revision)}, expected a branch, tag or commit`);
  const repository = new HubRepository(id, { ...options, revision });
  const fs = findFileSystem();
  if (fs !== null) return cachedFiles(fs, repository, { ...options, revision });
  const { files } = await repository.describe();
  return {
    name: id,
    has: async (file) => files.includes(file),
    open: async (file) => blobSource(await repository.open(file)),
  };
}
