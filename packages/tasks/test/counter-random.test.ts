import { CounterRandom } from '@mamba-ts/tasks';
import { expect, test } from 'vitest';
import { threefry } from '../src/counter-random';

test('threefry: the known answers of Random123', () => {
  const out = new Int32Array(1);
  const first = (k0: number, k1: number, c0: number, c1: number): number => {
    threefry(k0, k1, c0, c1, out);
    return out[0] >>> 0;
  };
  expect(first(0, 0, 0, 0)).toBe(0x6b200159);
  expect(first(-1, -1, -1, -1)).toBe(0x1cb996fc);
  expect(first(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3)).toBe(0xc4923a9c);
});

test('numbers below a bound fill the range evenly', () => {
  const random = new CounterRandom(1, 0, 0);
  const counts = new Float64Array(7);
  for (let i = 0; i < 7000; i++) counts[random.below(7)]++;
  for (const n of counts) expect(Math.abs(n - 1000)).toBeLessThan(5 * Math.sqrt(1000));
});

test('rows and streams are apart', () => {
  const drawn = new Set<number>();
  for (let stream = 0; stream < 2; stream++)
    for (let row = 0; row < 100; row++) drawn.add(new CounterRandom(1, stream, row).bits());
  expect(drawn.size).toBe(200);
  expect(() => new CounterRandom(0.5, 0, 0)).toThrow('CounterRandom: seed is 0.5');
});
