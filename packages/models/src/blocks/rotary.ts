import { arange, concat, type Tensor } from '@mamba-ts/tensor';

export interface RotaryConfig {
  /** Leading features of each head that are turned; the others pass. Even; 0: none. */
  readonly rotaryDim: number;
  /** Default 10000. */
  readonly rotaryBase?: number;
  /** Pairs are neighbours (2i, 2i + 1) instead of halves (i, i + rotaryDim / 2). Default false. */
  readonly rotaryInterleaved?: boolean;
}

/**
 * Rotary position embedding (Su et al. 2021): pair i of position t is turned by t · base^(−2i / rotaryDim), so that
 * products of queries and keys depend on their distance.
 *
 * @param x (batch, length, heads, headDim)
 * @param start the position of the first sample
 */
export function rotary(x: Tensor, start: number, config: RotaryConfig): Tensor {
  const { rotaryDim, rotaryBase = 10_000, rotaryInterleaved = false } = config;
  if (rotaryDim === 0) return x;
  const [batch, length, heads, headDim] = x.shape;
  const half = rotaryDim / 2;
  const { device } = x;
  const frequency = arange(half, { device })
    .cast('float32')
    .mul(-Math.log(rotaryBase) / half)
    .exp();
  const position = arange(length, { device }).cast('float32').add(start);
  const angle = position.reshape(1, length, 1, 1).mul(frequency);
  const [cos, sin] = [angle.cos(), angle.sin()];
  const turned = x.slice(-1, 0, rotaryDim);
  const axis = rotaryInterleaved ? 4 : 3;
  const pairs = turned.reshape(batch, length, heads, ...(rotaryInterleaved ? [half, 2] : [2, half]));
  const part = (i: number): Tensor => pairs.slice(axis, i, i + 1).squeeze(axis);
  const [a, b] = [part(0), part(1)];
  const both = [a.mul(cos).sub(b.mul(sin)), a.mul(sin).add(b.mul(cos))].map((t) => t.unsqueeze(axis));
  const joined = concat(both, axis).reshape(batch, length, heads, rotaryDim);
  return rotaryDim === headDim ? joined : concat([joined, x.slice(-1, rotaryDim)], 3);
}
