import { quote } from '../safetensors/error';
import { TorchFileError } from './error';
import { describe, Dict, type PickleValue, TensorView } from './pickle/values';

const DEEPEST = 16;
const LONGEST_NAME = 4096;

/**
 * The tensors of a state dict by name. A dict inside another adds its key and a dot; what is no tensor (a step count, a
 * version) is left out.
 *
 * @throws TorchFileError when the value is no dict, or lists more than `maxTensors`
 */
export function tensorsOf(value: PickleValue, maxTensors: number): Map<string, TensorView> {
  if (!(value instanceof Dict)) {
    throw new TorchFileError('invalid-pickle', `pickle holds ${describe(value)}, expected a dict of tensors`);
  }
  const found = new Map<string, TensorView>();
  // A dict may stand in several places, and so make many names of few bytes.
  let visited = 0;
  const collect = (dict: Dict, prefix: string, depth: number): void => {
    if (depth > DEEPEST) throw new TorchFileError('limit', `pickle nests more than ${DEEPEST} dicts`);
    for (const [key, item] of dict.items) {
      if (++visited > 2 * maxTensors) {
        throw new TorchFileError('limit', `pickle lists more than ${maxTensors} tensors`);
      }
      if (!(item instanceof Dict || item instanceof TensorView)) continue;
      if (typeof key !== 'string' && typeof key !== 'number') {
        throw new TorchFileError('invalid-pickle', `pickle has a tensor under ${describe(key)}, expected a name`);
      }
      const name = `${prefix}${key}`;
      if (name.length > LONGEST_NAME) {
        throw new TorchFileError('limit', `pickle has a name of ${name.length} characters: ${quote(name)}`);
      }
      if (item instanceof Dict) {
        collect(item, `${name}.`, depth + 1);
        continue;
      }
      if (found.has(name)) throw new TorchFileError('invalid-pickle', `pickle has two tensors ${quote(name)}`);
      if (found.size >= maxTensors) throw new TorchFileError('limit', `pickle lists more than ${maxTensors} tensors`);
      found.set(name, item);
    }
  };
  collect(value, '', 1);
  return found;
}
