import { type Device, getDefaultDevice } from '../device';
import { byteSize, type DType, type HostArray } from '../dtype';
import { DTypeError, OutOfRangeError, ShapeError } from '../errors';
import { constant, index as indexNode } from '../graph/build';
import { Node } from '../graph/node';
import { checkShape, formatShape, type Shape, sizeOf } from '../shape';
import { Tensor } from '../tensor';

/** Numbers, nested to any depth with equal lengths. */
export type Nested = number | boolean | readonly Nested[];

export interface CreateOptions {
  readonly dtype?: DType;
  /** Default: the one given to `setDefaultDevice`. */
  readonly device?: Device;
}

/**
 * A tensor from numbers: a scalar, nested arrays, or a typed array (with `shape`). Types: Int32Array → int32, Uint8Array → bool, all else
 * float32, unless `dtype` says otherwise.
 *
 * @throws ShapeError if the nesting is ragged or `shape` does not fit; OutOfRangeError for non-integers (NaN too) where the type is int32.
 */
export function tensor(values: Nested | HostArray, options: CreateOptions & { shape?: Shape } = {}): Tensor {
  const device = options.device ?? getDefaultDevice();
  const typed = ArrayBuffer.isView(values);
  const flat: (number | boolean)[] | HostArray = typed ? (values as HostArray) : [];
  const nested = typed ? [flat.length] : flatten(values as Nested, flat as (number | boolean)[]);
  const shape = options.shape ?? nested;
  checkShape(shape, 'tensor');
  if (sizeOf(shape) !== flat.length) throw new ShapeError(`tensor: values has ${flat.length} elements, expected ${sizeOf(shape)} for shape ${formatShape(shape)}`);
  const natural: DType = values instanceof Int32Array ? 'int32' : values instanceof Uint8Array || typeof flat[0] === 'boolean' ? 'bool' : 'float32';
  const dtype = options.dtype ?? natural;
  return new Tensor(upload(device, hostValues(flat, dtype), shape, dtype));
}

/** Values in the array type that `backend.write` takes, checked. */
function hostValues(flat: ArrayLike<number | boolean>, dtype: DType): HostArray {
  if (dtype === 'int32') {
    const out = new Int32Array(flat.length);
    for (let i = 0; i < flat.length; i++) {
      const v = Number(flat[i]);
      if ((v | 0) !== v) throw new OutOfRangeError(`tensor: values has ${v} at flat position ${i}, expected an int32`);
      out[i] = v;
    }
    return out;
  }
  if (dtype === 'bool') return Int32Array.from(flat as ArrayLike<number>, (v) => Number(Number(v) !== 0));
  return flat instanceof Float32Array || flat instanceof Float64Array ? flat : Float64Array.from(flat as ArrayLike<number>, Number);
}

export function upload(device: Device, values: HostArray, shape: Shape, dtype: DType): Node {
  const node = new Node(device, { kind: 'leaf' }, [], shape, dtype);
  node.buffer = device.allocateBuffer(values.length * byteSize(dtype));
  device.backend.write(node.buffer, dtype, values);
  return node;
}

function flatten(values: Nested, out: (number | boolean)[]): number[] {
  if (typeof values === 'number' || typeof values === 'boolean') {
    out.push(values);
    return [];
  }
  if (!Array.isArray(values)) throw new DTypeError(`tensor: values holds ${values === null ? 'null' : typeof values}, expected numbers or nested arrays of them`);
  let inner: number[] | null = null;
  for (const item of values as readonly Nested[]) {
    const shape = flatten(item, out);
    if (inner && inner.join() !== shape.join()) {
      throw new ShapeError(`tensor: values is ragged: shapes ${formatShape(inner)} and ${formatShape(shape)} meet in one array`);
    }
    inner = shape;
  }
  return [(values as readonly Nested[]).length, ...(inner ?? [])];
}

/** Constants take no memory until a kernel needs them. */
export function full(shape: Shape, value: number, options: CreateOptions = {}): Tensor {
  checkShape(shape, 'full');
  return new Tensor(constant(options.device ?? getDefaultDevice(), value, options.dtype ?? 'float32', shape));
}

export function zeros(shape: Shape, options: CreateOptions = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options: CreateOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** 0, 1, …, count - 1 as int32 (or cast to `dtype`). */
export function arange(count: number, options: CreateOptions = {}): Tensor {
  checkShape([count], 'arange');
  const t = new Tensor(indexNode(options.device ?? getDefaultDevice(), [count], 0));
  return options.dtype ? t.cast(options.dtype) : t;
}

/** Coordinates along `axis` of a tensor of `shape`, int32. */
export function indices(shape: Shape, axis: number, options: CreateOptions = {}): Tensor {
  checkShape(shape, 'indices');
  return new Tensor(indexNode(options.device ?? getDefaultDevice(), shape, axis));
}
