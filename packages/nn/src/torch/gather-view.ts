import { bytesPerElement } from '../safetensors/dtype';
import type { TensorView } from './pickle/values';

/** Elements of the storage that a view touches: from `offset`, up to `end`. */
export interface Extent {
  readonly begin: number;
  readonly end: number;
  readonly count: number;
  /** Whether the elements lie in order, without gaps. */
  readonly contiguous: boolean;
}

export function extentOf({ offset, shape, strides }: TensorView): Extent {
  let count = 1;
  let last = offset;
  let contiguous = true;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== count) contiguous = false;
    count *= shape[axis]!;
    last += (shape[axis]! - 1) * strides[axis]!;
  }
  if (count === 0) return { begin: offset, end: offset, count, contiguous: true };
  return { begin: offset, end: last + 1, count, contiguous };
}

/** The view's elements in row-major order. @param bytes those of its extent */
export function gatherView(view: TensorView, bytes: Uint8Array, count: number): Uint8Array {
  const width = bytesPerElement(view.dtype);
  const { shape, strides } = view;
  const out = new Uint8Array(count * width);
  const index = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < count; i++) {
    out.set(bytes.subarray(from * width, (from + 1) * width), i * width);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
