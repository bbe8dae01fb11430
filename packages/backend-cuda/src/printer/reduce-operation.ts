import type { Reduce } from '@mamba-ts/tensor';
import { floatLiteral, type Operand } from './code';

/** What leaves a sum or a maximum as it is. */
export function identity({ op, dtype }: Reduce): Operand {
  if (dtype === 'float32') return floatLiteral(op === 'sum' ? 0 : Number.NEGATIVE_INFINITY);
  return op === 'sum' ? '0' : '-2147483648';
}

/** The instruction that takes one more number in. */
export function operation({ op, dtype }: Reduce): string {
  if (dtype === 'float32') return op === 'sum' ? 'add.f32' : 'max.NaN.f32';
  return op === 'sum' ? 'add.s32' : 'max.s32';
}
