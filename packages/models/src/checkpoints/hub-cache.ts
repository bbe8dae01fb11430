import { CheckpointError } from './checkpoint-error';
import { type CheckpointFiles, fileNames, folderFiles } from './files';
import type { HubOptions } from './hub-options';
import { download } from './hub-download';
import type { HubRepository, Revision } from './hub-repository';
import { isFile, isFolder } from './node-files';

type FileSystem = typeof import('node:fs/promises');

interface CacheOptions extends HubOptions {
  readonly revision: string;
}

/**
 * A repository through the cache on the disk, in the layout of Python's huggingface_hub: `blobs/ETAG`, named links to
 * them in `snapshots/COMMIT/`, and the commit that a branch stood for in `refs/BRANCH`.
 *
 * The hub is asked which commit a branch stands for; where it cannot be reached, the last answer counts.
 */
export async function cachedFiles(
  fs: FileSystem,
  repository: HubRepository,
  options: CacheOptions,
): Promise<CheckpointFiles> {
  const { revision } = options;
  const env = process.env;
  const folder = `${options.cacheDir ?? defaultCache(env)}/models--${repository.id.replace('/', '--')}`;
  const known = await commitInCache(fs, folder, revision);
  const offline = options.offline ?? /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? '');
  const inCache = known === null ? null : snapshot(folder, known);
  const isWhole = inCache !== null && (await isFile(fs, `${inCache}/${fileNames.config}`));
  if (offline) {
    if (isWhole) return onlyInCache(inCache, repository.id);
    throw new CheckpointError(`hub: ${repository.id} (${revision}) is not in the cache ${folder}, and offline is set`);
  }
  let current: Revision;
  try {
    current = await repository.describe();
  } catch (error) {
    if (isWhole && isUnreachable(error)) return onlyInCache(inCache, repository.id);
    throw error;
  }
  if (current.commit !== revision) {
    const path = `${folder}/refs/${revision}`;
    await fs.mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    await fs.writeFile(path, current.commit);
  }
  const target = snapshot(folder, current.commit);
  const files = folderFiles(target);
  return {
    name: repository.id,
    has: async (file) => current.files.includes(file),
    async open(file) {
      if (!(await files.has(file))) await download(fs, repository, { folder, target, file }, options);
      return files.open(file);
    },
  };
}

/** Files of the disk; what is missing there may be missing only there. */
function onlyInCache(folder: string, id: string): CheckpointFiles {
  return { ...folderFiles(folder), name: `${id} in the cache` };
}

function snapshot(folder: string, commit: string): string {
  return `${folder}/snapshots/${commit}`;
}

/** The commit that the cache has for a revision, or null. */
async function commitInCache(fs: FileSystem, folder: string, revision: string): Promise<string | null> {
  if (await isFolder(fs, snapshot(folder, revision))) return revision;
  const text = await fs.readFile(`${folder}/refs/${revision}`, 'utf8').catch(() => '');
  return /^[0-9a-f]{40}$/.test(text.trim()) ? text.trim() : null;
}

/** The rule of the hub's libraries. */
function defaultCache(env: Readonly<Record<string, string | undefined>>): string {
  const home = (): string => `${env.HOME ?? env.USERPROFILE ?? '.'}/.cache`;
  return (
    env.HF_HUB_CACHE ??
    env.HUGGINGFACE_HUB_CACHE ??
    `${env.HF_HOME ?? `${env.XDG_CACHE_HOME ?? home()}/huggingface`}/hub`
  );
}

/** No answer at all, as opposed to one that says no. */
function isUnreachable(error: unknown): boolean {
  return error instanceof CheckpointError && error.cause instanceof TypeError;
}
