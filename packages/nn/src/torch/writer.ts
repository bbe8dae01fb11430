import { byteLengthOf, isSafetensorsDtype } from '../safetensors/dtype';
import { quote, showShape } from '../safetensors/error';
import type { SafetensorsTensor } from '../safetensors/file';
import type { DeferredTensor } from '../safetensors/writer';
import { TorchFileError } from './error';
import { pickleStateDict, type StoredTensor } from './pickle/writer';
import { ZipWriter } from './zip/writer';

/** PyTorch's version of the archive's layout. */
const VERSION = '3\n';

type Source = SafetensorsTensor | DeferredTensor;

/**
 * The pieces of a file that `torch.load` reads: a state dict as `torch.save` writes it, tensors in the order of the map,
 * their bytes asked for one at a time. One tensor under two names (the same object: tied weights) is stored once.
 *
 * @param folder the archive's folder, by custom the file's name without its ending
 * @throws TorchFileError when a tensor's bytes do not fit its shape
 */
export async function* streamTorchFile(
  tensors: ReadonlyMap<string, Source>,
  folder: string = 'pytorch_model',
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!/^[\w.-]+$/.test(folder)) {
    throw new TorchFileError('invalid-argument', `folder is ${quote(folder)}, expected a plain name`);
  }
  const keys = new Map<Source, string>();
  const stored: StoredTensor[] = [];
  for (const [name, tensor] of tensors) {
    if (!isSafetensorsDtype(tensor.dtype)) {
      throw new TorchFileError('unsupported-dtype', `tensor ${quote(name)} has dtype ${quote(String(tensor.dtype))}`);
    }
    const key = keys.get(tensor) ?? String(keys.size);
    keys.set(tensor, key);
    stored.push({ name, dtype: tensor.dtype, shape: tensor.shape, key });
  }
  const text = new TextEncoder();
  const zip = new ZipWriter();
  yield* zip.entry(`${folder}/data.pkl`, pickleStateDict(stored));
  yield* zip.entry(`${folder}/byteorder`, text.encode('little'));
  for (const [tensor, key] of keys) yield* zip.entry(`${folder}/data/${key}`, await bytesOf(tensor));
  yield* zip.entry(`${folder}/version`, text.encode(VERSION));
  yield* zip.end();
}

async function bytesOf(tensor: Source): Promise<Uint8Array> {
  const bytes = typeof tensor.bytes === 'function' ? await tensor.bytes() : tensor.bytes;
  const expected = byteLengthOf('', tensor.dtype, tensor.shape);
  if (bytes.length !== expected) {
    throw new TorchFileError(
      'invalid-tensor',
      `tensor of shape ${showShape(tensor.shape)} and dtype ${tensor.dtype} has ${bytes.length} bytes, expected ${expected}`,
    );
  }
  return bytes;
}
