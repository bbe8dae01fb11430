import { expect, it } from 'vitest';
import { fromBFloat16, toBFloat16 } from '../../src/half';
import { readValues, writeValues } from '../../src/cpu/transfer';

it('rounds Float32Arrays to bfloat16 as toBFloat16 does: ties, subnormals, infinities, NaN', () => {
  const special = [0, -0, 1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8, 3.4e38, 1e-40, Infinity, -Infinity, NaN];
  const values = Float32Array.from([...special, ...Array.from({ length: 500 }, (_, i) => Math.sin(i) * 10 ** ((i % 70) - 35))]);
  const memory = new ArrayBuffer(2 * values.length);
  writeValues(memory, 0, 'bfloat16', values);
  expect(Array.from(new Uint16Array(memory))).toEqual(Array.from(values, toBFloat16));
  const back = Array.from(values, (v) => fromBFloat16(toBFloat16(v)));
  expect(Array.from(readValues(memory, 0, 'bfloat16', values.length))).toEqual(back);
});
