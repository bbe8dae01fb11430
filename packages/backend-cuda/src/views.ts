import type { TensorSpec } from '@mamba-ts/tensor';
import type { ElementType } from './element-types';

/** Elements from one row of an input to the next; `width` where it is contiguous. */
export function rowPitch(spec: TensorSpec, width: number): number {
  return spec.view?.pitch ?? width;
}

/** Address of an input's first element, given that of its buffer. */
export function firstElement(address: bigint, spec: TensorSpec | null): bigint {
  if (!spec?.view) return address;
  return address + BigInt(spec.view.offset * ((spec.view.stored ?? (spec.dtype as ElementType)) === 'float32' ? 4 : 2));
}
