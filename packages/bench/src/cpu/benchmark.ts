import { type Device, scope, tensor, type Variable, variable } from '@mamba-ts/tensor';
import type { Measurement } from '../results';

/** One or more figures, measured on the default device. */
export interface CpuBenchmark {
  readonly name: string;
  readonly run: (device: Device, threads: number) => Measurement[] | Promise<Measurement[]>;
}

/** A variable of seeded uniform values in [low, high): what an operand of a benchmark is. */
export function operand(shape: readonly number[], low = -1, high = 1): Variable {
  let s = 12345;
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) | 0;
    return low + ((high - low) * (s >>> 8)) / 2 ** 24;
  });
  return scope(() => variable(tensor(values, { shape })));
}
