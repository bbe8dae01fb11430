import { CheckpointError } from './checkpoint-error';
import type { HubOptions } from './hub-options';
import type { HubFile, HubRepository } from './hub-repository';
import { isFile } from './node-files';

type FileSystem = typeof import('node:fs/promises');
type Hash = import('node:crypto').Hash;

interface Place {
  /** Of the repository in the cache. */
  readonly folder: string;
  /** Of the snapshot. */
  readonly target: string;
  readonly file: string;
}

/**
 * Downloads one file into the cache and links it into the snapshot. What an earlier download left behind is gone on
 * with; the whole is checked against the hub's hash before it gets its name.
 */
export async function download(
  fs: FileSystem,
  repository: HubRepository,
  { folder, target, file }: Place,
  { onProgress, signal }: HubOptions,
): Promise<void> {
  const described = await repository.file(file);
  const blobPath = `${folder}/blobs/${described.etag}`;
  await fs.mkdir(`${folder}/blobs`, { recursive: true });
  await fs.mkdir(target, { recursive: true });
  if (!(await isFile(fs, blobPath))) {
    const partial = `${blobPath}.incomplete`;
    const hash = await hashOf(described);
    let done = await hashFile(fs, partial, hash);
    if (done > described.bytes) {
      await fs.rm(partial);
      throw new CheckpointError(`hub: ${partial} is longer than the file that it is of; it was removed, try again`);
    }
    const tell = (): void => onProgress?.({ stage: 'download', name: file, done, total: described.bytes });
    tell();
    if (done < described.bytes) {
      const blob = await repository.open(file);
      const handle = await fs.open(partial, 'a');
      try {
        for await (const piece of piecesOf(blob.slice(done, described.bytes))) {
          signal?.throwIfAborted();
          await handle.writeFile(piece);
          hash.update(piece);
          done += piece.length;
          tell();
        }
      } catch (cause) {
        signal?.throwIfAborted();
        throw new CheckpointError(
          `hub: download of ${file} ended after ${done} of ${described.bytes} bytes (${String((cause as Error)?.message ?? cause)}); ` +
            'calling again goes on from there',
          { cause },
        );
      } finally {
        await handle.close();
      }
    }
    if (done < described.bytes)
      throw new CheckpointError(
        `hub: download of ${file} ended after ${done} of ${described.bytes} bytes; calling again goes on from there`,
      );
    const found = hash.digest('hex');
    if (done !== described.bytes || found !== described.etag) {
      await fs.rm(partial);
      throw new CheckpointError(
        `hub: ${file} arrived with hash ${found}, expected ${described.etag}; it was removed, try again`,
      );
    }
    await fs.rename(partial, blobPath);
  }
  await link(fs, `../../blobs/${described.etag}`, blobPath, `${target}/${file}`);
}

async function* piecesOf(blob: Blob): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = blob.stream().getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** SHA-256 of the content, or SHA-1 as Git makes it, after the length: the hub's two kinds of names. */
async function hashOf({ etag, bytes }: HubFile): Promise<Hash> {
  const { createHash } = process.getBuiltinModule('node:crypto');
  return etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

/** Adds what is there already; 0 bytes if nothing is. @returns their number */
async function hashFile(fs: FileSystem, path: string, hash: Hash): Promise<number> {
  if (!(await isFile(fs, path))) return 0;
  let bytes = 0;
  const handle = await fs.open(path, 'r');
  const buffer = new Uint8Array(2 ** 20);
  try {
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, bytes);
      if (bytesRead === 0) return bytes;
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** A relative link, as the hub's libraries make; a copy where links cannot be made. */
async function link(fs: FileSystem, relative: string, blobPath: string, path: string): Promise<void> {
  await fs.rm(path, { force: true });
  await fs.symlink(relative, path).catch(() => fs.copyFile(blobPath, path));
}
