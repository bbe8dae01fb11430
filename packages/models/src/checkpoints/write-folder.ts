import { CheckpointError } from './checkpoint-error';
import { fileSystem } from './node-files';
import type { PretrainedFile } from './save';

/** Files that a loader takes for a checkpoint's weights. */
const isWeights = (name: string): boolean =>
  /^(model.*\.safetensors|pytorch_model.*\.bin|(model\.safetensors|pytorch_model\.bin)\.index\.json)$/.test(name);

/**
 * Writes files into a folder, each under another name until it is whole.
 *
 * @throws CheckpointError if the folder holds weights that would be left beside the new ones
 */
export async function writeFolder(folder: string, files: readonly PretrainedFile[]): Promise<void> {
  const fs = fileSystem('savePretrained');
  await fs.mkdir(folder, { recursive: true });
  const names = files.map(({ name }) => name);
  const others = (await fs.readdir(folder)).filter((name) => isWeights(name) && !names.includes(name));
  if (others.length > 0)
    throw new CheckpointError(
      `savePretrained: folder ${JSON.stringify(folder)} holds ${others.join(', ')} already, expected one without other weights`,
    );
  for (const { name, pieces } of files) {
    const path = `${folder}/${name}`;
    const partial = `${path}.incomplete`;
    const handle = await fs.open(partial, 'w');
    try {
      for await (const piece of pieces()) await writeAll(handle, piece);
      await handle.close();
      await fs.rename(partial, path);
    } catch (error) {
      await handle.close().catch(() => undefined);
      await fs.rm(partial, { force: true });
      throw error;
    }
  }
}

interface Writable {
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
}

/** One write call takes at most this: Node refuses 2 GiB and over. */
const WRITE_BYTES = 2 ** 30;

async function writeAll(handle: Writable, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, Math.min(WRITE_BYTES, bytes.length - at));
    at += bytesWritten;
  }
}
