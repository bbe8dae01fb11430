import type { SafetensorsDtype } from '../../safetensors/dtype';

/* What a pickle of a state dict can hold. Nothing in it is callable: a class or function is a name. */

/** A class or function by module and name, one of the allowed ones. */
export class GlobalName {
  constructor(readonly name: string) {}
}

export class Tuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

export class List {
  readonly items: PickleValue[] = [];
}

/** A dict or an OrderedDict. */
export class Dict {
  readonly items: Map<PickleValue, PickleValue> = new Map();
}

/** Memory that tensors share, a file `data/KEY` of the archive. */
export class Storage {
  constructor(
    readonly key: string,
    /** Null: bytes whose type the tensor says. */
    readonly dtype: SafetensorsDtype | null,
    /** Elements; bytes where `dtype` is null. */
    readonly length: number,
  ) {}
}

/** A view of a storage. */
export class TensorView {
  constructor(
    readonly storage: Storage,
    readonly dtype: SafetensorsDtype,
    /** In elements, from the start of the storage. */
    readonly offset: number,
    readonly shape: readonly number[],
    /** In elements. */
    readonly strides: readonly number[],
  ) {}
}

export type PickleValue = null | boolean | number | string | GlobalName | Tuple | List | Dict | Storage | TensorView;

/** For messages. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value instanceof GlobalName) return value.name;
  if (value instanceof Tuple) return `a tuple of ${value.items.length}`;
  if (value instanceof List) return 'a list';
  if (value instanceof Dict) return 'a dict';
  if (value instanceof Storage) return 'a storage';
  if (value instanceof TensorView) return 'a tensor';
  return value === null ? 'None' : `a ${typeof value}`;
}
