import type { ScanShape } from '@mamba-ts/scan';
import type { Values } from '../fixture-case';

/** `values` with its axes in another order: axis i of the result is axis `order[i]` of the input. */
export function permute(
  data: ArrayLike<number>,
  shape: readonly number[],
  order: readonly number[],
): { data: Float64Array; shape: number[] } {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const outShape = order.map((axis) => shape[axis]!);
  const out = new Float64Array(data.length);
  const index = outShape.map(() => 0);
  for (let at = 0; at < out.length; at++) {
    let from = 0;
    for (const [axis, position] of index.entries()) from += position * strides[order[axis]!]!;
    out[at] = data[from]!;
    for (let axis = index.length - 1; axis >= 0 && ++index[axis]! === outShape[axis]; axis--) index[axis] = 0;
  }
  return { data: out, shape: outShape };
}

function expectRank(what: string, { shape }: Values, ranks: readonly number[]): void {
  if (!ranks.includes(shape.length)) throw new Error(`${what} has shape (${shape.join(', ')}), a layout not known`);
}

/** (batch, channels, length) to (batch, length, channels). */
export function sequenceToChannelLast(what: string, values: Values): Float64Array {
  expectRank(what, values, [3]);
  return permute(values.data, values.shape, [0, 2, 1]).data;
}

/**
 * B or C that varies over time, to (batch, length, groups, dState[, 2]): stored as (batch, dState, length), or with
 * groups as (batch, groups, dState, length); complex ones as reals of twice the length, real and imaginary by turns.
 */
export function variableToChannelLast(what: string, values: Values, complex: boolean): Float64Array {
  expectRank(what, values, [3, 4]);
  const [batch, dState, width] = [values.shape[0]!, values.shape.at(-2)!, values.shape.at(-1)!];
  const groups = values.shape.length === 4 ? values.shape[1]! : 1;
  return complex
    ? permute(values.data, [batch, groups, dState, width / 2, 2], [0, 3, 1, 2, 4]).data
    : permute(values.data, [batch, groups, dState, width], [0, 3, 1, 2]).data;
}

/** B or C of a fixture, or a gradient of them. */
export function projectionToChannelLast(
  what: string,
  values: Values,
  shape: ScanShape,
  variable: boolean,
): Float64Array {
  if (variable) return variableToChannelLast(what, values, shape.complex);
  if (values.complex !== shape.complex) throw new Error(`${what} is ${shape.complex ? 'not ' : ''}complex, unlike A`);
  return values.data;
}
