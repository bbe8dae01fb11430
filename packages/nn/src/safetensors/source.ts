import { SafetensorsError } from './error';

/** Something whose bytes can be read at any place: a file, a blob, a range-request client, memory. */
export interface RandomAccessSource {
  /** Bytes in all. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`. The caller keeps them: a source hands out a fresh array, or a view of memory
   * that nobody else writes.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** Frees what the source holds open. */
  close?(): void | Promise<void>;
}

/** Bytes in memory as a source; reads are views, not copies. */
export function bytesSource(bytes: Uint8Array): RandomAccessSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** A Blob or a File (of a file input, of OPFS) as a source; each read loads its own range only. */
export function blobSource(blob: Blob): RandomAccessSource {
  return {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

/** What `fileHandleSource` needs of Node's `FileHandle`. */
export interface ReadableFileHandle {
  stat(): Promise<{ readonly size: number }>;
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

/** One read call asks for at most this: Node refuses requests of 2 GiB and over. */
const READ_BYTES = 2 ** 30;

/** An open Node file handle as a source. Closing the source closes the handle. */
export async function fileHandleSource(handle: ReadableFileHandle): Promise<RandomAccessSource> {
  const { size } = await handle.stat();
  return {
    size,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let done = 0;
      while (done < length) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, READ_BYTES), offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done === length ? bytes : bytes.subarray(0, done);
    },
    close: () => handle.close(),
  };
}

/** What this package uses of `node:fs/promises`. */
export interface NodeFileSystem {
  open(path: string, flags: string): Promise<ReadableFileHandle>;
  access(path: string): Promise<void>;
}

/** Node's file system, found at run time so that bundlers for browsers see no import of it. */
export function nodeFileSystem(): NodeFileSystem {
  const host = globalThis as { process?: { getBuiltinModule?: (id: string) => unknown } };
  const fs = host.process?.getBuiltinModule?.('node:fs/promises');
  if (fs === undefined) {
    throw new SafetensorsError('unsupported-host', 'this host has no node:fs; open a Blob or bytes instead');
  }
  return fs as NodeFileSystem;
}

/** Opens a file of the disk (Node only). */
export async function fileSource(path: string): Promise<RandomAccessSource> {
  const handle = await nodeFileSystem().open(path, 'r');
  try {
    return await fileHandleSource(handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}
