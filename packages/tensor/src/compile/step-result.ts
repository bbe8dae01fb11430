import { TensorError } from '../errors';
import { Tensor } from '../tensor';

/** What a compiled step may return: tensors, in arrays and plain objects, or nothing. */
export type StepResult = Tensor | void | null | readonly StepResult[] | { readonly [key: string]: StepResult };

/** The same structure with every tensor replaced; depth first, in a fixed order. */
export function mapTensors<R>(value: R, replace: (tensor: Tensor) => Tensor): R {
  if (value instanceof Tensor) return replace(value) as R;
  if (value === undefined || value === null) return value;
  if (Array.isArray(value)) return value.map((v) => mapTensors(v, replace)) as R;
  if (typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, mapTensors(v, replace)])) as R;
  }
  throw new TensorError(`compile: the step returned ${typeof value === 'object' ? `a ${(value as object).constructor?.name}` : typeof value}, expected tensors in arrays or plain objects`);
}
