import { bytesPerElement, MAX_RANK, type SafetensorsDtype } from '../../safetensors/dtype';
import { quote, showShape } from '../../safetensors/error';
import { TorchFileError } from '../error';
import { dtypeNames, functionNames, storageTypes, untypedStorage } from './globals';
import { describe, Dict, GlobalName, List, type PickleValue, Storage, TensorView, Tuple } from './values';

/* What the few allowed functions mean. */

const LONGEST_KEY = 64;

function invalid(message: string): TorchFileError {
  return new TorchFileError('invalid-pickle', message);
}

/** The storage that a persistent id names: `('storage', type, key, location, length)`. */
export function loadStorage(id: PickleValue): Storage {
  const [tag, type, key, location, length] = id instanceof Tuple ? id.items : [];
  if (!(id instanceof Tuple) || id.items.length !== 5 || tag !== 'storage' || !(type instanceof GlobalName)) {
    throw invalid(`pickle refers to ${describe(id)} outside of it, expected a storage`);
  }
  const dtype = Object.hasOwn(storageTypes, type.name) ? storageTypes[type.name]! : null;
  if (dtype === null && type.name !== untypedStorage) {
    throw invalid(`pickle has a storage of type ${type.name}, which is none`);
  }
  if (typeof key !== 'string' || typeof location !== 'string') {
    throw invalid(`pickle has a storage with key ${describe(key)}, expected a text`);
  }
  // PyTorch numbers them; a key that is a path is an attempt to reach something else.
  if (!/^[\w-]+$/.test(key) || key.length > LONGEST_KEY) {
    throw new TorchFileError('unsafe-path', `pickle has a storage with key ${quote(key)}, expected a plain name`);
  }
  return new Storage(key, dtype, size(length, 'a storage length'));
}

/** What `callable(*args)` would give. */
export function reduce(callable: PickleValue, args: PickleValue): PickleValue {
  if (!(callable instanceof GlobalName)) throw invalid(`pickle calls ${describe(callable)}, expected a function`);
  if (!(args instanceof Tuple)) throw invalid(`pickle calls ${callable.name} with ${describe(args)}, expected a tuple`);
  const { items } = args;
  switch (callable.name) {
    case functionNames.orderedDict:
      return orderedDict(items);
    case functionNames.tensor:
      return tensorView(callable.name, items, 4, 4);
    case functionNames.tensorV2:
      return tensorView(callable.name, items, 6, 7);
    case functionNames.tensorV3:
      return tensorView(callable.name, items, 7, 8, items[6]);
    case functionNames.parameter: {
      const [tensor] = items;
      if (!(tensor instanceof TensorView)) throw invalid(`pickle makes a parameter of ${describe(tensor)}`);
      return tensor;
    }
    case functionNames.size: {
      const [dims] = items;
      if (!(dims instanceof Tuple)) throw invalid(`pickle makes a torch.Size of ${describe(dims)}`);
      return dims;
    }
    default:
      throw new TorchFileError('forbidden-global', `pickle calls ${callable.name}, which is no function here`);
  }
}

/** Empty: items come by SETITEMS. (The other form, a list of pairs, is from before pickle's protocol 2.) */
function orderedDict(items: readonly PickleValue[]): Dict {
  const [pairs] = items;
  if (items.length > 1 || (pairs !== undefined && !(pairs instanceof List && pairs.items.length === 0))) {
    throw invalid(`pickle makes an OrderedDict of ${describe(pairs)}, expected an empty one`);
  }
  return new Dict();
}

/** `(storage, offset, size, stride, …)`; whether it has a gradient, and hooks, are of no use here. */
function tensorView(
  name: string,
  items: readonly PickleValue[],
  least: number,
  most: number,
  dtypeName?: PickleValue,
): TensorView {
  if (items.length < least || items.length > most) {
    throw invalid(`pickle calls ${name} with ${items.length} values, expected ${least} to ${most}`);
  }
  const [storage, offset, shape, strides] = items;
  if (!(storage instanceof Storage)) throw invalid(`pickle makes a tensor of ${describe(storage)}, expected a storage`);
  const dtype = dtypeOf(storage, dtypeName);
  const view = new TensorView(storage, dtype, size(offset, 'an offset'), sizes(shape), sizes(strides));
  checkView(view);
  return view;
}

function dtypeOf(storage: Storage, name: PickleValue | undefined): SafetensorsDtype {
  if (name === undefined) {
    if (storage.dtype === null) throw invalid('pickle makes a tensor of an untyped storage without a dtype');
    return storage.dtype;
  }
  if (!(name instanceof GlobalName) || !Object.hasOwn(dtypeNames, name.name)) {
    throw invalid(`pickle makes a tensor of dtype ${describe(name)}`);
  }
  return dtypeNames[name.name]!;
}

/** Every element lies inside the storage. */
function checkView({ storage, dtype, offset, shape, strides }: TensorView): void {
  const wrong = (problem: string): TorchFileError =>
    new TorchFileError(
      'invalid-tensor',
      `tensor of shape ${showShape(shape)} in storage ${quote(storage.key)} ${problem}`,
    );
  if (strides.length !== shape.length) throw wrong(`has ${strides.length} strides, expected one for each axis`);
  if (shape.includes(0)) return;
  const elementBytes = bytesPerElement(dtype);
  const capacity =
    storage.dtype === null ? Math.floor(storage.length / elementBytes) : storage.dtype === dtype ? storage.length : 0;
  let last = offset;
  for (let axis = 0; axis < shape.length; axis++) last += (shape[axis]! - 1) * strides[axis]!;
  // Sums over 2^53 round, but stay far above any capacity.
  if (last >= capacity) throw wrong(`reaches element ${last}, expected less than its ${capacity}`);
}

function sizes(value: PickleValue | undefined): number[] {
  if (!(value instanceof Tuple)) throw invalid(`pickle has a shape that is ${describe(value)}, expected a tuple`);
  if (value.items.length > MAX_RANK) {
    throw new TorchFileError(
      'limit',
      `pickle has a tensor of ${value.items.length} axes, expected at most ${MAX_RANK}`,
    );
  }
  return value.items.map((item) => size(item, 'a size'));
}

function size(value: PickleValue | undefined, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw invalid(`pickle has ${what} that is ${typeof value === 'number' ? value : describe(value)}, expected >= 0`);
  }
  return value;
}
