import { CheckpointError } from './checkpoint-error';

type FileSystem = typeof import('node:fs/promises');

/** Node's file system, found at run time so that bundlers for browsers see no import of it; null in browsers. */
export function findFileSystem(): FileSystem | null {
  const host = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
  return (host.process?.getBuiltinModule?.('node:fs/promises') as FileSystem | undefined) ?? null;
}

/** @param what needs it, for the message */
export function fileSystem(what: string): FileSystem {
  const fs = findFileSystem();
  if (fs === null) throw new CheckpointError(`${what}: this host has no file system`);
  return fs;
}

export async function isFolder(fs: FileSystem, path: string): Promise<boolean> {
  return fs.stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

export async function isFile(fs: FileSystem, path: string): Promise<boolean> {
  return fs.stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
